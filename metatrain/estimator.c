/* SPDX-License-Identifier: Apache-2.0
 *
 * estimator.c - see estimator.h. */
#include "estimator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

static const mt_rule rules[] = {
    [MT_ES] = {"es", "full evolution strategies: every window is a whole trajectory",
               "Salimans et al. 2017", MT_EACH_WINDOW, MT_THIS_NOISE, MT_NEW_TRAJECTORY},
    [MT_TES] = {"tes", "truncated ES: both twins continue the positive one (biased)",
                "Metz et al. 2019", MT_EACH_WINDOW, MT_THIS_NOISE, MT_POSITIVE_STATE},
    [MT_PES] = {"pes", "persistent ES: noise summed since the reset (unbiased)",
                "Vicol et al. 2021", MT_EACH_WINDOW, MT_NOISE_SINCE_RESET, MT_OWN_STATE},
    [MT_NRES] = {"nres", "noise-reuse ES: one perturbation a trajectory (unbiased, least variance)",
                 "Li et al. 2023", MT_EACH_TRAJECTORY, MT_NOISE_SINCE_RESET, MT_OWN_STATE},
    [MT_GPES] = {"gpes", "generalised PES: noise redrawn every noise_every inner steps",
                 "Li et al. 2023", MT_EVERY_K_STEPS, MT_NOISE_SINCE_RESET, MT_OWN_STATE},
};

const mt_rule *mt_estimator_rule(mt_estimator name) {
    return (size_t)name < sizeof rules / sizeof *rules ? &rules[name] : NULL;
}

int mt_estimator_open(mt_gradient_estimator *e, const mt_rule *rule, mt_noise noise,
                      int64_t particles, lopt_error *err) {
    size_t p = (size_t)particles;
    *e = (mt_gradient_estimator){.rule = rule, .noise = noise, .particles = particles};
    e->trajectory = malloc(p * sizeof *e->trajectory);
    e->last_noise = malloc(p * sizeof *e->last_noise);
    e->delta = malloc((noise.n + 1) * sizeof *e->delta);
    e->gradient = calloc(noise.n + 1, sizeof *e->gradient);
    e->part = calloc(noise.n + 1, sizeof *e->part);
    int sums = rule->multiplier == MT_NOISE_SINCE_RESET;
    if (sums)
        e->sum = calloc(p * noise.n + 1, sizeof *e->sum);
    if (!e->trajectory || !e->last_noise || !e->delta || !e->gradient || !e->part ||
        (sums && !e->sum)) {
        mt_estimator_close(e);
        return mt_error(err, LOPT_ENOMEM,
                        "out of memory for the estimator of %lld particles of %zu numbers",
                        (long long)particles, noise.n);
    }
    for (size_t i = 0; i < p; i++)
        e->trajectory[i] = e->last_noise[i] = -1;
    return 1;
}

void mt_estimator_close(mt_gradient_estimator *e) {
    free(e->sum);
    free(e->trajectory);
    free(e->last_noise);
    free(e->delta);
    free(e->gradient);
    free(e->part);
    *e = (mt_gradient_estimator){0};
}

/* The vector that a segment's loss difference multiplies; brings the particle's sum up to the
 * segment. */
static const float *direction(mt_gradient_estimator *e, int64_t particle, const mt_segment *s) {
    size_t n = e->noise.n;
    if (e->rule->multiplier == MT_THIS_NOISE) {
        mt_noise_draw(&e->noise, particle, s->noise, e->delta);
        return e->delta;
    }
    float *sum = e->sum + (size_t)particle * n;
    int new_trajectory = s->trajectory != e->trajectory[particle];
    if (new_trajectory)
        memset(sum, 0, n * sizeof *sum);
    if (new_trajectory || s->noise != e->last_noise[particle]) {
        mt_noise_draw(&e->noise, particle, s->noise, e->delta);
        for (size_t i = 0; i < n; i++)
            sum[i] += e->delta[i];
    }
    e->trajectory[particle] = s->trajectory;
    e->last_noise[particle] = s->noise;
    return sum;
}

/* Returns the squared norm of what the particle adds. */
static double add_particle(mt_gradient_estimator *e, const mt_report *r) {
    double scale = 2.0 * (double)e->noise.std * (double)e->noise.std * (double)e->particles;
    double square = 0;
    int64_t count = 0;
    memset(e->part, 0, e->noise.n * sizeof *e->part);
    for (int k = 0; k < r->n_segments; k++)
        count += r->segment[k].count;
    for (int k = 0; k < r->n_segments; k++) {
        const mt_segment *s = &r->segment[k];
        const float *v = direction(e, r->particle, s);
        if (r->dropped || s->count == 0)
            continue;
        double weight = (s->sum[0] - s->sum[1]) / ((double)count * scale);
        for (size_t i = 0; i < e->noise.n; i++) {
            double change = weight * (double)v[i];
            e->gradient[i] += change;
            e->part[i] += change;
        }
    }
    for (size_t i = 0; i < e->noise.n; i++)
        square += e->part[i] * e->part[i];
    return square;
}

/* The gradient is a sum over independent particles whose squared norms add up to `squares`: its own
 * squared norm over the variance that their spread gives it. */
static double signal_to_noise(const mt_gradient_estimator *e, double squares) {
    double n = (double)e->particles, signal = 0;
    for (size_t i = 0; i < e->noise.n; i++)
        signal += e->gradient[i] * e->gradient[i];
    return e->particles > 1 ? signal / (n / (n - 1) * (squares - signal / n)) : NAN;
}

/* Mean meta-loss of a particle over its window and both twins; NaN if it has none. */
static double particle_loss(const mt_report *r) {
    double sum = 0, count = 0;
    for (int k = 0; k < r->n_segments; k++) {
        sum += r->segment[k].sum[0] + r->segment[k].sum[1];
        count += 2 * (double)r->segment[k].count;
    }
    return r->dropped || count == 0 ? NAN : sum / count;
}

void mt_estimate(mt_gradient_estimator *e, const mt_report *report, mt_outer_summary *summary) {
    double sum = 0, squares = 0, counted = 0, gradient_squares = 0;
    *summary = (mt_outer_summary){0};
    memset(e->gradient, 0, e->noise.n * sizeof *e->gradient);
    for (int64_t p = 0; p < e->particles; p++) {
        const mt_report *r = &report[p];
        gradient_squares += add_particle(e, r);
        double loss = particle_loss(r);
        if (!isnan(loss))
            sum += loss, squares += loss * loss, counted++;
        summary->non_finite += r->non_finite;
        summary->dropped += r->dropped;
        summary->finished += r->finished;
        summary->finished_length += r->finished_length;
        summary->inner_steps += r->inner_steps;
        summary->seconds += r->seconds;
    }
    summary->meta_loss = sum / counted;
    summary->meta_loss_std =
        sqrt(fmax(squares / counted - summary->meta_loss * summary->meta_loss, 0));
    summary->signal_to_noise = signal_to_noise(e, gradient_squares);
}
