/* SPDX-License-Identifier: Apache-2.0
 *
 * test_estimators.c - every estimator against closed forms.
 *
 * The inner problem: a position moves by x <- x - a.theta at each step, and the loss after step t
 * is (x_t - c)^2, so x_t = x_0 - t a.theta. The loss is quadratic in theta, hence Gaussian
 * smoothing does not change its gradient, and
 *
 *     d(loss_t)/d(theta) = -2 t (x_0 - t a.theta - c) a.
 *
 * es, pes, nres and gpes must give the mean of that over the trajectory; tes is known to see only
 * the steps of its own window. The test plays the rules of es_gradient.h itself and hands mt_compute_gradient
 * the reports. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "es/es_gradient.h"
#include "whole_noise.h"

enum { DIM = 3, PARTICLES = 4000, LENGTH = 12, WINDOW = 4, NOISE_EVERY = 8 };
static const double a[DIM] = {1, -0.5, 0.25};
static const float theta[DIM] = {0.1f, 0.2f, 0.3f};
static const unsigned char trained[DIM] = {1, 1, 1};
static const double x0 = 1, c = 0.45;

/* a.(theta + sign * delta) */
static double speed(const float *delta, double sign) {
    double sum = 0;
    for (int i = 0; i < DIM; i++) sum += a[i] * ((double)theta[i] + sign * (double)delta[i]);
    return sum;
}

typedef struct walker { /* a particle of this problem */
    int turning;        /* the other problem, of the variance */
    double x[2];
    int t;
    int64_t trajectory, noise, draws;
} walker;

/* The other problem: each WINDOW steps x moves by another component of theta, and x is the loss. */
static void take_turning_step(walker *w, const float *delta, mt_segment *s) {
    int i = w->t / WINDOW % DIM;
    for (int twin = 0; twin < 2; twin++)
        s->sum[twin] += w->x[twin] -= (double)theta[i] + (twin ? -1 : 1) * (double)delta[i];
    w->t++;
    s->count++;
}

static void take_step(walker *w, const float *delta, mt_segment *s) {
    if (w->turning) {
        take_turning_step(w, delta, s);
        return;
    }
    for (int twin = 0; twin < 2; twin++) {
        w->x[twin] -= speed(delta, twin ? -1 : 1);
        s->sum[twin] += (w->x[twin] - c) * (w->x[twin] - c);
    }
    w->t++;
    s->count++;
}

/* One window by the rules; a trajectory that ends inside it is followed by the next. */
static void walk(const mt_rule *rule, const mt_noise *noise, walker *w, int64_t particle, int window, mt_report *r) {
    float delta[DIM];
    mt_segment *s = NULL;
    *r = (mt_report){.particle = particle, .window = window};
    if (rule->redraw == MT_EACH_WINDOW) w->noise = w->draws++;
    if (rule->start == MT_POSITIVE_STATE) w->x[1] = w->x[0];
    if (rule->start == MT_NEW_TRAJECTORY) w->t = LENGTH;
    int steps = rule->start == MT_NEW_TRAJECTORY ? LENGTH : WINDOW;
    for (int k = 0; k < steps; k++) {
        int reset = w->t == LENGTH;
        if (reset) w->x[0] = w->x[1] = x0, w->t = 0, w->trajectory++;
        int redraw = (reset && rule->redraw == MT_EACH_TRAJECTORY) ||
                     (rule->redraw == MT_EVERY_K_STEPS && w->t % NOISE_EVERY == 0);
        if (redraw) w->noise = w->draws++;
        if (reset || redraw || !s) {
            s = &r->segment[r->n_segments++];
            *s = (mt_segment){.trajectory = w->trajectory, .noise = w->noise};
        }
        whole_noise(noise, particle, w->noise, delta);
        take_step(w, delta, s);
    }
}

/* Mean gradient over `windows` windows, all particles starting `stagger` steps apart, and its
 * standard error along a, by batches of windows. */
static void average(mt_estimator name, uint64_t seed, int stagger, int windows, double mean[DIM]) {
    static walker w[PARTICLES];
    static mt_report report[PARTICLES];
    mt_es_gradient e;
    mt_outer_summary summary;
    mt_noise noise = {seed, 0.1f, DIM, trained};
    const mt_estimator_config how = {.name = name};
    const mt_rule *rule = mt_estimator_rule(name);
    cr_assert(mt_es_gradient_open(&e, &how, noise, PARTICLES, NULL));
    for (int p = 0; p < PARTICLES; p++) w[p] = (walker){.t = LENGTH, .trajectory = -1, .noise = -1};
    memset(mean, 0, DIM * sizeof *mean);
    for (int k = -3; k < windows; k++) {
        for (int p = 0; p < PARTICLES; p++) {
            if (k == -3 && stagger)
                w[p] = (walker){
                    .x = {x0, x0}, .t = p % LENGTH, .trajectory = -2, .noise = -1}; /* first trajectories end early */
            walk(rule, &noise, &w[p], p, k, &report[p]);
        }
        mt_compute_gradient(&e, report, &summary);
        for (int i = 0; i < DIM; i++) mean[i] += k >= 0 ? e.gradient[i] / windows : 0;
    }
    mt_es_gradient_close(&e);
}

/* Mean over t = 1..LENGTH of the gradient factor: times a[i] gives the gradient. own_window: the
 * derivative sees only the steps since the window began (tes). */
static double closed_form(int own_window) {
    double sum = 0, v = 0;
    for (int i = 0; i < DIM; i++) v += a[i] * (double)theta[i];
    for (int t = 1; t <= LENGTH; t++) {
        int seen = own_window ? (t - 1) % WINDOW + 1 : t;
        sum += -2 * seen * (x0 - t * v - c);
    }
    return sum / LENGTH;
}

static void check(mt_estimator name, int stagger, double factor, double tolerance) {
    double mean[DIM];
    average(name, 17, stagger, 60, mean);
    for (int i = 0; i < DIM; i++)
        cr_assert(fabs(mean[i] - factor * a[i]) < tolerance, "%s: component %d is %g, closed form %g",
                  mt_estimator_rule(name)->name, i, mean[i], factor * a[i]);
}

/* Tolerances are about five standard errors of the mean, found by varying the seed. */
Test(estimators, es_is_unbiased) {
    check(MT_ES, 0, closed_form(0), 0.05);
}
Test(estimators, pes_is_unbiased) {
    check(MT_PES, 0, closed_form(0), 0.08);
}
Test(estimators, nres_is_unbiased) {
    check(MT_NRES, 0, closed_form(0), 0.05);
}
Test(estimators, gpes_is_unbiased) {
    check(MT_GPES, 0, closed_form(0), 0.08);
}
Test(estimators, tes_sees_only_its_window) {
    check(MT_TES, 0, closed_form(1), 0.03);
}

/* Resets inside windows, at every phase. */
Test(estimators, pes_with_resets_inside_windows) {
    check(MT_PES, 1, closed_form(0), 0.08);
}
Test(estimators, nres_with_resets_inside_windows) {
    check(MT_NRES, 1, closed_form(0), 0.05);
}
Test(estimators, gpes_with_resets_inside_windows) {
    check(MT_GPES, 1, closed_form(0), 0.08);
}

/* Here the whole trajectory says "smaller a.theta", its windows say "larger": truncation points the
 * wrong way (the bias that PES was made for). */
Test(estimators, tes_points_the_wrong_way_where_pes_and_nres_do_not) {
    double full = closed_form(0), truncated = closed_form(1), mean[DIM];
    cr_assert(full > 0.5 && truncated < -0.1, "full %g, truncated %g", full, truncated);
    average(MT_TES, 5, 0, 60, mean);
    cr_assert(mean[0] < -0.05, "tes: %g", mean[0]);
    for (int k = 0; k < 3; k++) {
        mt_estimator name = (mt_estimator[]){MT_PES, MT_NRES, MT_GPES}[k];
        average(name, 5, 0, 60, mean);
        cr_assert(mean[0] > 0.4, "%s: %g", mt_estimator_rule(name)->name, mean[0]);
    }
}

/* ---- variance -------------------------------------------------------------------------------- */

/* Total variance of the gradient of one particle, over many runs of a dozen windows. */
static double variance(mt_estimator name) {
    mt_es_gradient e;
    mt_outer_summary summary;
    mt_report report;
    double squares = 0, mean[DIM] = {0};
    int n = 0;
    const mt_estimator_config how = {.name = name};
    for (uint64_t run = 0; run < 4000; run++) {
        mt_noise noise = {run, 0.1f, DIM, trained};
        walker w = {.turning = 1, .t = LENGTH, .trajectory = -1, .noise = -1};
        cr_assert(mt_es_gradient_open(&e, &how, noise, 1, NULL));
        for (int k = 0; k < 12; k++, n++) {
            walk(e.rule, &noise, &w, 0, k, &report);
            mt_compute_gradient(&e, &report, &summary);
            for (int i = 0; i < DIM; i++) squares += e.gradient[i] * e.gradient[i], mean[i] += e.gradient[i];
        }
        mt_es_gradient_close(&e);
    }
    for (int i = 0; i < DIM; i++) squares -= mean[i] * mean[i] / n;
    return squares / n;
}

/* Li et al. 2023: where windows depend on theta in different ways, the longer noise is kept, the less
 * the gradient varies; full ES averages over the whole trajectory on top. */
Test(estimators, variance_falls_from_pes_over_gpes_and_nres_to_es) {
    double pes = variance(MT_PES), gpes = variance(MT_GPES), nres = variance(MT_NRES), es = variance(MT_ES);
    cr_assert(pes > 1.1 * gpes && gpes > 1.1 * nres && nres > 1.1 * es, "pes %g, gpes %g, nres %g, es %g", pes, gpes,
              nres, es);
}

/* ---- direction ------------------------------------------------------------------------------- */

enum { WIDE = 20, MOST = 256 };

/* Mean cosine of the estimate with the exact gradient of a linear loss, whose slope is random. */
static double cosine(int particles, int steps) {
    static mt_report report[MOST];
    unsigned char ones[WIDE];
    float delta[WIDE];
    double sum = 0, slope[WIDE];
    mt_es_gradient e;
    mt_outer_summary summary;
    const mt_estimator_config how = {.name = MT_ES};
    for (int i = 0; i < WIDE; i++) ones[i] = 1, slope[i] = sin(i + 1.0);
    for (int step = 0; step < steps; step++) {
        mt_noise noise = {(uint64_t)step, 0.1f, WIDE, ones};
        cr_assert(mt_es_gradient_open(&e, &how, noise, particles, NULL));
        for (int p = 0; p < particles; p++) {
            double d = 0;
            whole_noise(&noise, p, step, delta);
            for (int i = 0; i < WIDE; i++) d += slope[i] * (double)delta[i];
            report[p] = (mt_report){.particle = p, .n_segments = 1};
            report[p].segment[0] = (mt_segment){.noise = step, .count = 1, .sum = {d, -d}};
        }
        mt_compute_gradient(&e, report, &summary);
        double dot = 0, a2 = 0, b2 = 0;
        for (int i = 0; i < WIDE; i++) {
            dot += slope[i] * e.gradient[i];
            a2 += slope[i] * slope[i];
            b2 += e.gradient[i] * e.gradient[i];
        }
        sum += dot / sqrt(a2 * b2) / steps;
        mt_es_gradient_close(&e);
    }
    return sum;
}

/* With isotropic noise the estimate is the exact gradient plus noise of N + d + 1 over N times its
 * squared norm, so the cosine is about sqrt(N / (N + d + 1)). */
Test(estimators, cosine_with_the_exact_gradient_grows_with_particles) {
    for (int n = 4; n <= MOST; n *= 4) {
        double found = cosine(n, 300), expected = sqrt(n / (n + WIDE + 1.0));
        cr_assert(fabs(found - expected) < 0.03, "%d particles: cosine %g, expected %g", n, found, expected);
    }
}

/* ---- what becomes of loss differences -------------------------------------------------------- */

enum { FEW = 4 };

/* Gradient along the only number of theta from windows of FEW particles with two segments of three
 * and one meta-losses; loss[p][twin] is the mean over the window. */
static double shaped(mt_estimator_config how, const double loss[FEW][2], mt_report report[FEW]) {
    mt_es_gradient e;
    mt_outer_summary summary;
    mt_noise noise = {31, 0.1f, 1, trained};
    how.name = MT_TES;
    how.shaping_scale = 2;
    for (int p = 0; p < FEW; p++) {
        report[p].particle = p;
        report[p].n_segments = 2;
        for (int k = 0; k < 2; k++)
            report[p].segment[k] = (mt_segment){
                .trajectory = k, .count = k ? 1 : 3, .sum = {loss[p][0] * (k ? 3 : 1), loss[p][1] * (k ? 3 : 1)}};
    }
    cr_assert(mt_es_gradient_open(&e, &how, noise, FEW, NULL));
    mt_compute_gradient(&e, report, &summary);
    double gradient = e.gradient[0];
    mt_es_gradient_close(&e);
    return gradient;
}

/* The same if particle p's noise is multiplied with difference[p]. */
static double expected_gradient(const double difference[FEW]) {
    mt_noise noise = {31, 0.1f, 1, trained};
    double sum = 0, var = (double)noise.std * (double)noise.std;
    float delta;
    for (int p = 0; p < FEW; p++) {
        whole_noise(&noise, p, 0, &delta);
        sum += difference[p] * (double)delta / (2 * var * FEW);
    }
    return sum;
}

static void check_shaping(mt_estimator_config how, const double loss[FEW][2], const double difference[FEW],
                          int dropped) {
    mt_report report[FEW] = {0};
    if (dropped >= 0) report[dropped].dropped = 1;
    double found = shaped(how, loss, report), expected = expected_gradient(difference);
    cr_assert(fabs(found - expected) < 1e-9 * fabs(expected), "shaping %d: %.12g, expected %.12g", (int)how.shaping,
              found, expected);
}

/* Losses 1..8 but for a tie; every factor is twice (shaping_scale) the difference of shaped losses. */
Test(estimators, shaping) {
    static const double loss[FEW][2] = {{1, 2}, {8, 5}, {5, 5}, {3, 7}};
    const mt_estimator_config none = {.name = MT_TES}, clip = {.clip = 0.5}, sign = {.shaping = MT_SIGN},
                              range = {.shaping = MT_RANGE}, ranks = {.shaping = MT_CENTRED_RANK},
                              standard = {.shaping = MT_STANDARDISE};
    check_shaping(none, loss, (double[FEW]){-1, 3, 0, -4}, -1);
    /* the segments have 1/4 and 3/4 of the difference: -1/4 and -3/4, 3/4 and 9/4, -1 and -3 */
    check_shaping(clip, loss, (double[FEW]){-0.75, 1, 0, -1}, -1);
    check_shaping(sign, loss, (double[FEW]){-2, 2, 0, -2}, -1);
    /* 1 -> -1, 8 -> 1 */
    check_shaping(range, loss, (double[FEW]){-4.0 / 7, 12.0 / 7, 0, -16.0 / 7}, -1);
    /* ranks 0, 1; 7, 4; 4, 4; 2, 6, over 7 */
    check_shaping(ranks, loss, (double[FEW]){-2.0 / 7, 6.0 / 7, 0, -8.0 / 7}, -1);
    double std = sqrt((1 + 4 + 64 + 25 + 25 + 25 + 9 + 49) / 8.0 - 4.5 * 4.5);
    check_shaping(standard, loss, (double[FEW]){-2 / std, 6 / std, 0, -8 / std}, -1);
    /* without the second particle: losses 1, 2, 5, 5, 3, 7 */
    check_shaping(ranks, loss, (double[FEW]){-2.0 / 5, 0, 0, -6.0 / 5}, 1);
}

Test(estimators, shaping_of_equal_losses_is_zero) {
    static const double loss[FEW][2] = {{2, 2}, {2, 2}, {2, 2}, {2, 2}};
    for (int how = MT_UNSHAPED; how <= MT_CENTRED_RANK; how++)
        cr_assert(shaped((mt_estimator_config){.shaping = (mt_shaping)how}, loss, (mt_report[FEW]){0}) == 0);
}

/* The published form: one particle that is not finite takes the whole gradient with it, but not
 * under full ES. */
Test(estimators, published_forms_meet_infinity) {
    static const double loss[FEW][2] = {{1, 2}, {(double)INFINITY, 5}, {5, 5}, {3, 7}};
    mt_report report[FEW] = {0};
    mt_estimator_config how = {.compat = MT_REFERENCE};
    cr_assert(shaped(how, loss, report) == 0);
    mt_es_gradient e;
    mt_outer_summary summary;
    how.name = MT_ES;
    cr_assert(mt_es_gradient_open(&e, &how, (mt_noise){31, 0.1f, 1, trained}, FEW, NULL));
    mt_compute_gradient(&e, report, &summary);
    double expected = expected_gradient((double[FEW]){-1, 0, 0, -4});
    cr_assert(fabs(e.gradient[0] - expected) < 1e-9 * fabs(expected));
    mt_es_gradient_close(&e);
}

Test(estimators, dropped_particles_count_for_nothing_but_keep_their_noise) {
    mt_es_gradient e;
    mt_outer_summary summary;
    mt_noise noise = {3, 0.1f, DIM, trained};
    float first[DIM], second[DIM];
    const mt_estimator_config how = {.name = MT_PES};
    cr_assert(mt_es_gradient_open(&e, &how, noise, 1, NULL));
    mt_report r = {
        .n_segments = 1, .dropped = 1, .segment = {{.trajectory = 0, .noise = 0, .count = 2, .sum = {9, 1}}}};
    mt_compute_gradient(&e, &r, &summary);
    for (int i = 0; i < DIM; i++) cr_assert(e.gradient[i] == 0);
    cr_assert(summary.dropped == 1 && isnan(summary.meta_loss));
    r = (mt_report){.n_segments = 1, .segment = {{.trajectory = 0, .noise = 1, .count = 2, .sum = {9, 1}}}};
    mt_compute_gradient(&e, &r, &summary);
    whole_noise(&noise, 0, 0, first);
    whole_noise(&noise, 0, 1, second);
    for (int i = 0; i < DIM; i++) {
        double expected = 8.0 / 2 * (double)(first[i] + second[i]) / (2 * (double)0.1f * (double)0.1f);
        cr_assert(fabs(e.gradient[i] - expected) < 1e-9 * fabs(expected), "component %d: %g, expected %g", i,
                  e.gradient[i], expected);
    }
    cr_assert(summary.meta_loss == 2.5);
    mt_es_gradient_close(&e);
}

/* A bias would not show it: noise of trajectories that are over has mean zero. */
Test(estimators, a_reset_forgets_the_noise) {
    mt_es_gradient e;
    mt_outer_summary summary;
    mt_noise noise = {3, 0.1f, DIM, trained};
    float delta[DIM];
    const mt_estimator_config how = {.name = MT_PES};
    cr_assert(mt_es_gradient_open(&e, &how, noise, 1, NULL));
    for (int64_t window = 0; window < 3; window++) {
        mt_report r = {.n_segments = 1, .segment = {{.trajectory = window / 2, .noise = window, .count = 1}}};
        r.segment[0].sum[0] = 2;
        mt_compute_gradient(&e, &r, &summary);
    }
    whole_noise(&noise, 0, 2, delta);
    double var = (double)noise.std * (double)noise.std;
    for (int i = 0; i < DIM; i++) cr_assert(fabs(e.gradient[i] * var - (double)delta[i]) < 1e-9, "component %d", i);
    mt_es_gradient_close(&e);
}

/* Particle 0 is on task 1 only, particle 1 leaves it for task 3, particle 2 diverged on it. */
Test(estimators, tasks_have_summaries_of_their_own) {
    mt_es_gradient e;
    mt_outer_summary summary;
    const mt_estimator_config how = {.name = MT_TES};
    const mt_report report[3] = {
        {.particle = 0,
         .n_segments = 2,
         .segment = {{.task = 1, .count = 2, .sum = {6, 2}}, {.task = 1, .count = 1, .sum = {1, 3}}}},
        {.particle = 1,
         .n_segments = 2,
         .segment = {{.task = 1, .count = 1, .sum = {5, 3}}, {.task = 3, .count = 2, .sum = {1, 1}}}},
        {.particle = 2, .n_segments = 1, .dropped = 1, .segment = {{.task = 1, .count = 1}}}};
    cr_assert(mt_es_gradient_open(&e, &how, (mt_noise){3, 0.1f, DIM, trained}, 3, NULL));
    mt_compute_gradient(&e, report, &summary);
    cr_assert(summary.task[1].particles == 2 && summary.task[1].meta_loss == 3 && summary.task[1].meta_loss_std == 1);
    cr_assert(summary.task[3].particles == 1 && summary.task[3].meta_loss == 0.5 && summary.task[3].meta_loss_std == 0);
    cr_assert(summary.task[0].particles == 0 && isnan(summary.task[0].meta_loss) &&
              isnan(summary.task[0].meta_loss_std));
    cr_assert(fabs(summary.meta_loss - (2 + 10.0 / 6) / 2) < 1e-12);
    mt_es_gradient_close(&e);
}

Test(estimators, frozen_numbers_are_not_perturbed) {
    static const unsigned char partly[DIM] = {1, 0, 1};
    mt_noise noise = {3, 0.1f, DIM, partly};
    float delta[DIM];
    whole_noise(&noise, 5, 7, delta);
    cr_assert(delta[0] != 0 && delta[1] == 0 && delta[2] != 0);
}
