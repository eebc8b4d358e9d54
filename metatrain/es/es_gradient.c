/* SPDX-License-Identifier: Apache-2.0
 *
 * es_gradient.c - see es_gradient.h. */
#include "es/es_gradient.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "es/fitness_shaping.h"

/* ---- shares --------------------------------------------------------------------------------- */

static int list_chunks(mt_es_gradient *e) {
    size_t from = 0;
    e->n_chunks = mt_count_noise_chunks(&e->noise);
    e->chunk = malloc((e->n_chunks + 1) * sizeof *e->chunk);
    for (size_t k = 0; e->chunk && k < e->n_chunks; k++) {
        e->chunk[k] = mt_noise_chunk(&e->noise, from);
        from = e->chunk[k].begin + e->chunk[k].n;
    }
    return e->chunk != NULL;
}

int mt_count_shares(const mt_config *cfg, int64_t particles, int64_t trained, int64_t chunks, int ranks) {
    if (cfg->outer.mode == MT_ASYNCHRONOUS || chunks < 1 ||
        (double)particles * (double)trained < (double)cfg->outer.share_from)
        return 1;
    return chunks < ranks ? (int)chunks : ranks;
}

static size_t share_begin(const mt_es_gradient *e, int place, int of) {
    return e->n_chunks * (size_t)place / (size_t)of;
}

void mt_select_share(mt_es_gradient *e, int place, int of) {
    e->first = share_begin(e, place, of);
    e->last = share_begin(e, place + 1, of);
}

size_t mt_share_range(const mt_es_gradient *e, int place, int of, size_t *from) {
    size_t first = share_begin(e, place, of), last = share_begin(e, place + 1, of);
    *from = first < last ? e->chunk[first].begin : 0;
    return first < last ? e->chunk[last - 1].begin + e->chunk[last - 1].n - *from : 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

int mt_es_gradient_open(mt_es_gradient *e, const mt_estimator_config *how, mt_noise noise, int64_t particles,
                        lopt_error *err) {
    return mt_es_gradient_open_share(e, how, noise, particles, 0, 1, err);
}

int mt_es_gradient_expect(mt_es_gradient *e, int64_t n, lopt_error *err) {
    e->n_reports = e->n_counted = n;
    if (n <= e->room) return 1;
    free(e->fitness);
    free(e->order);
    free(e->plan);
    e->room = n;
    e->fitness = malloc(2 * (size_t)n * sizeof *e->fitness);
    e->order = malloc(2 * (size_t)n * sizeof *e->order);
    e->plan = calloc((size_t)n, sizeof *e->plan);
    return (e->fitness && e->order && e->plan) ||
           mt_error(err, LOPT_ENOMEM, "out of memory for %lld reports", (long long)n);
}

int mt_es_gradient_open_share(mt_es_gradient *e, const mt_estimator_config *how, mt_noise noise, int64_t particles,
                              int place, int of, lopt_error *err) {
    size_t p = (size_t)particles;
    *e = (mt_es_gradient){.how = how, .rule = mt_estimator_rule(how->name), .noise = noise, .particles = particles};
    e->trajectory = malloc(p * sizeof *e->trajectory);
    e->last_noise = malloc(p * sizeof *e->last_noise);
    e->gradient = calloc(noise.n + 1, sizeof *e->gradient);
    int ok = mt_es_gradient_expect(e, particles, err) && list_chunks(e),
        sums = e->rule->multiplier == MT_NOISE_SINCE_RESET;
    if (ok) {
        mt_select_share(e, place, of);
        e->width = mt_share_range(e, place, of, &e->from);
        if (of == 1) {
            e->from = 0;
            e->width = noise.n;
        }
        e->squares = calloc(e->n_chunks + 1, sizeof *e->squares);
    }
    if (ok && sums) e->sum = calloc(p * e->width + 1, sizeof *e->sum);
    if (!ok || !e->trajectory || !e->last_noise || !e->gradient || !e->squares || (sums && !e->sum)) {
        mt_es_gradient_close(e);
        return mt_error(err, LOPT_ENOMEM, "out of memory for the estimator of %lld particles of %zu parameters",
                        (long long)particles, noise.n);
    }
    for (size_t i = 0; i < p; i++) e->trajectory[i] = e->last_noise[i] = -1;
    return 1;
}

void mt_es_gradient_close(mt_es_gradient *e) {
    free(e->chunk);
    free(e->sum);
    free(e->trajectory);
    free(e->last_noise);
    free(e->fitness);
    free(e->order);
    free(e->plan);
    free(e->gradient);
    free(e->squares);
    *e = (mt_es_gradient){0};
}

/* ---- loss differences ---------------------------------------------------------------------- */

static int64_t meta_losses(const mt_report *r) {
    int64_t count = 0;
    for (int k = 0; k < r->n_segments; k++) count += r->segment[k].count;
    return count;
}

static int report_counts(const mt_report *r) {
    return !r->dropped && !r->stale;
}

/* Mean meta-loss of a twin over its window; NaN if it counts for nothing. */
static double window_mean(const mt_report *r, int twin) {
    double sum = 0;
    for (int k = 0; k < r->n_segments; k++) sum += r->segment[k].sum[twin];
    return report_counts(r) ? sum / (double)meta_losses(r) : (double)NAN;
}

static void shape_fitness(mt_es_gradient *e, const mt_report *report) {
    for (int64_t i = 0; i < e->n_reports; i++)
        for (int twin = 0; twin < 2; twin++) e->fitness[2 * i + twin] = window_mean(&report[i], twin);
    mt_shape_fitness(e->how->shaping, 2 * (size_t)e->n_reports, e->fitness, e->order);
}

/* How much worse the positive twin was in a segment of a window of `count` meta-losses; f: fitness of
 * the report's twins. */
static double loss_difference(const mt_es_gradient *e, const double *f, const mt_segment *s, double count) {
    if (e->how->shaping == MT_UNSHAPED) {
        double d = (s->sum[0] - s->sum[1]) / count, clip = e->how->clip;
        return clip > 0 && isfinite(d) ? fmax(fmin(d, clip), -clip) : d;
    }
    double d = f[0] - f[1], share = (double)s->count / count;
    if (e->how->shaping == MT_SIGN && !isnan(d)) d = (d > 0) - (d < 0);
    return e->how->shaping_scale * share * d;
}

/* ---- what a particle adds to the gradient -------------------------------------------------- */

/* fitness: of its twins. count: what its sums are divided by. */
static void plan_report(mt_es_gradient *e, const mt_report *r, const double *fitness, double count, mt_plan *to) {
    double scale = 2.0 * (double)e->noise.std * (double)e->noise.std * (double)e->n_counted;
    int64_t *trajectory = &e->trajectory[r->particle], *last = &e->last_noise[r->particle];
    to->particle = r->particle;
    to->n_actions = r->n_segments;
    for (int k = 0; k < r->n_segments; k++) {
        const mt_segment *s = &r->segment[k];
        int restart = e->rule->multiplier == MT_THIS_NOISE || s->trajectory != *trajectory;
        double weight = loss_difference(e, fitness, s, count) / scale;
        int out_of_range = e->how->name == MT_ES && !isfinite(weight);
        to->action[k] = (mt_action){.weight = weight,
                                    .noise = s->noise,
                                    .restart = restart,
                                    .add = restart || s->noise != *last,
                                    .counts = report_counts(r) && s->count > 0 && !out_of_range};
        *trajectory = s->trajectory;
        *last = s->noise;
    }
}

/* In eight sums, which a compiler keeps in vectors without changing the order. */
static double squared_norm(size_t n, const double *x) {
    double lane[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += x[i + k] * x[i + k];
    for (; i < n; i++) lane[0] += x[i] * x[i];
    for (int k = 0; k < 8; k++) sum += lane[k];
    return sum;
}

/* Returns the squared norm of what a report adds. */
static double add_report(mt_es_gradient *e, const mt_plan *to, mt_chunk at) {
    float delta[MT_NOISE_CHUNK], alone[MT_NOISE_CHUNK];
    double part[MT_NOISE_CHUNK] = {0}, *gradient = e->gradient + at.begin;
    float *sum = e->sum ? e->sum + (size_t)to->particle * e->width + (at.begin - e->from) : alone;
    for (const mt_action *a = to->action; a < to->action + to->n_actions; a++) {
        if (a->restart) memset(sum, 0, at.n * sizeof *sum);
        if (a->add) {
            mt_draw_noise(&e->noise, to->particle, a->noise, at, delta);
            for (size_t i = 0; i < at.n; i++) sum[i] += delta[i];
        }
        for (size_t i = 0; a->counts && i < at.n; i++) part[i] += a->weight * (double)sum[i];
    }
    for (size_t i = 0; i < at.n; i++) gradient[i] += part[i];
    return squared_norm(at.n, part);
}

void mt_compute_chunk(mt_es_gradient *e, size_t k) {
    mt_chunk at = e->chunk[k];
    memset(e->gradient + at.begin, 0, at.n * sizeof *e->gradient);
    e->squares[k] = 0;
    for (int64_t i = 0; i < e->n_reports; i++) e->squares[k] += add_report(e, &e->plan[i], at);
}

/* ---- all reports --------------------------------------------------------------------------- */

/* The published nres and gpes divide by the meta-losses of all reports together. */
void mt_plan_gradient(mt_es_gradient *e, const mt_report *report) {
    int together = e->how->compat == MT_REFERENCE && e->rule->redraw != MT_EACH_WINDOW;
    double all = 0;
    int64_t stale = 0;
    shape_fitness(e, report);
    for (int64_t i = 0; i < e->n_reports; i++) {
        all += (double)meta_losses(&report[i]);
        stale += report[i].stale;
    }
    e->n_counted = e->n_reports - stale;
    for (int64_t i = 0; i < e->n_reports; i++)
        plan_report(e, &report[i], e->fitness + 2 * i,
                    together ? all / (double)e->n_reports : (double)meta_losses(&report[i]), &e->plan[i]);
}

/* The gradient is a sum over independent reports whose squared norms add up to `squares`: its own
 * squared norm over the variance that their spread gives it. */
static double signal_to_noise(const mt_es_gradient *e, double squares) {
    double n = (double)e->n_counted, signal = squared_norm(e->noise.n, e->gradient);
    return e->n_counted > 1 ? signal / (n / (n - 1) * (squares - signal / n)) : NAN;
}

/* ---- what people see ----------------------------------------------------------------------- */

typedef struct spread {
    double n, sum, squares;
} spread;

static void note_value(spread *s, double value) {
    if (isnan(value)) return;
    s->n++;
    s->sum += value;
    s->squares += value * value;
}

static double mean_of(const spread *s) {
    return s->sum / s->n;
}

static double standard_deviation(const spread *s) {
    double variance = s->squares / s->n - mean_of(s) * mean_of(s);
    return variance < 0 ? 0 : sqrt(variance);
}

/* Mean meta-loss of a particle over its window and both twins, on one task (-1: on all); NaN if it
 * has none. */
static double particle_loss(const mt_report *r, int64_t which) {
    double sum = 0, count = 0;
    for (int k = 0; k < r->n_segments; k++) {
        if (which >= 0 && r->segment[k].task != which) continue;
        sum += r->segment[k].sum[0] + r->segment[k].sum[1];
        count += 2 * (double)r->segment[k].count;
    }
    return !report_counts(r) || count == 0 ? NAN : sum / count;
}

static void summarise_tasks(const mt_report *report, int64_t n, mt_task_summary out[MT_MAX_TASKS]) {
    spread loss[MT_MAX_TASKS] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < report[i].n_segments; k++) {
            int64_t t = report[i].segment[k].task;
            int again = 0; /* a task that a particle meets twice counts once */
            for (int j = 0; j < k; j++) again |= report[i].segment[j].task == t;
            if (!again) note_value(&loss[t], particle_loss(&report[i], t));
        }
    for (int t = 0; t < MT_MAX_TASKS; t++)
        out[t] = (mt_task_summary){(int64_t)loss[t].n, mean_of(&loss[t]), standard_deviation(&loss[t])};
}

static void summarise_reports(const mt_report *report, int64_t n, mt_outer_summary *summary) {
    spread loss = {0};
    summary->reports = n;
    for (const mt_report *r = report; r < report + n; r++) {
        note_value(&loss, particle_loss(r, -1));
        summary->non_finite += r->non_finite;
        summary->dropped += r->dropped;
        summary->stale += r->stale;
        summary->finished += r->finished;
        summary->finished_length += r->finished_length;
        summary->inner_steps += r->inner_steps;
        summary->seconds += r->seconds;
    }
    summary->meta_loss = mean_of(&loss);
    summary->meta_loss_std = standard_deviation(&loss);
    summarise_tasks(report, n, summary->task);
}

void mt_finish_gradient(mt_es_gradient *e, const mt_report *report, mt_outer_summary *summary) {
    double squares = 0;
    *summary = (mt_outer_summary){0};
    for (size_t k = 0; k < e->n_chunks; k++) squares += e->squares[k];
    for (size_t i = 0; e->how->compat == MT_REFERENCE && i < e->noise.n; i++)
        e->gradient[i] = isfinite(e->gradient[i]) ? e->gradient[i] : 0;
    summary->signal_to_noise = signal_to_noise(e, squares);
    summarise_reports(report, e->n_reports, summary);
}

void mt_compute_gradient(mt_es_gradient *e, const mt_report *report, mt_outer_summary *summary) {
    mt_plan_gradient(e, report);
    for (size_t k = 0; k < e->n_chunks; k++) mt_compute_chunk(e, k);
    mt_finish_gradient(e, report, summary);
}
