/* SPDX-License-Identifier: Apache-2.0
 *
 * statistics.c - see statistics.h. */
#include "eval/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "rng/rng.h"

/* ---- curves -------------------------------------------------------------------------------------- */

void mt_smooth_curve(size_t n, const double *y, double factor, double *smooth) {
    double last = NAN;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(y[i])) last = isnan(last) ? y[i] : factor * last + (1 - factor) * y[i];
        smooth[i] = last;
    }
}

double mt_invert_curve(size_t n, const double *x, const double *y, double level) {
    size_t i = 0;
    while (i < n && !(y[i] <= level)) i++;
    if (i == n) return x[n - 1];
    if (i == 0 || !isfinite(y[i - 1])) return x[i];
    return x[i - 1] + (x[i] - x[i - 1]) * (y[i - 1] - level) / (y[i - 1] - y[i]);
}

/* ---- Student's t --------------------------------------------------------------------------------- */

/* P(|T| < t): Abramowitz and Stegun 1964, 26.7.3 and 26.7.4. */
static double central_probability(double t, size_t degrees) {
    double angle = atan(t / sqrt((double)degrees)), cosine = cos(angle), sum = 0;
    int odd = degrees % 2 == 1;
    double term = odd ? cosine : 1;
    for (size_t k = odd ? 3 : 2; k <= degrees; k += 2) {
        sum += term;
        term *= (double)(k - 1) / (double)k * cosine * cosine;
    }
    return odd ? (angle + sin(angle) * sum) / acos(0) : sin(angle) * sum;
}

/* The t with P(|T| < t) = 0.95, at most 12.71 (one degree of freedom). */
static double student_quantile(size_t degrees) {
    double low = 0, high = 13;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        *(central_probability(middle, degrees) < 0.95 ? &low : &high) = middle;
    }
    return high;
}

mt_interval mt_estimate_mean(size_t n, const double *values) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    double mean = sum / (double)n;
    if (n < 2) return (mt_interval){mean, NAN, NAN};
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    double half = student_quantile(n - 1) * sqrt(squares / (double)(n - 1) / (double)n);
    return (mt_interval){mean, mean - half, mean + half};
}

/* ---- percentiles --------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where the 2.5th (or 97.5th) percentile of n sorted values lies: `part` of the way from value `at` to the next. */
typedef struct quantile_place {
    size_t at, next;
    double part;
} quantile_place;

static quantile_place place_quantile(size_t n, double share) {
    double position = share * (double)(n - 1);
    size_t at = (size_t)position;
    return (quantile_place){at, at + 1 < n ? at + 1 : at, position - (double)at};
}

/* replicates[n], sorted here. */
static mt_interval interval_of(double value, size_t n, double *replicates) {
    double end[2];
    qsort(replicates, n, sizeof *replicates, compare_doubles);
    for (int i = 0; i < 2; i++) {
        quantile_place q = place_quantile(n, i == 0 ? 0.025 : 0.975);
        end[i] = replicates[q.at] + q.part * (replicates[q.next] - replicates[q.at]);
    }
    return (mt_interval){value, end[0], end[1]};
}

/* The value that stands at place `at` of n sorted ones, of which count[v] are v / most. */
static double value_at(size_t at, const uint32_t *count, size_t most) {
    size_t v = 0;
    for (size_t before = count[0]; before <= at; before += count[v]) v++;
    return (double)v / (double)most;
}

static mt_interval interval_of_counts(double value, size_t n, const uint32_t *count, size_t most) {
    double end[2];
    for (int i = 0; i < 2; i++) {
        quantile_place q = place_quantile(n, i == 0 ? 0.025 : 0.975);
        double low = value_at(q.at, count, most);
        end[i] = low + q.part * (value_at(q.next, count, most) - low);
    }
    return (mt_interval){value, end[0], end[1]};
}

/* ---- aggregates ---------------------------------------------------------------------------------- */

double mt_profile_threshold(size_t i) {
    return (double)i / 20;
}

enum { AT_IQM, AT_MEAN, AT_MEDIAN, AT_GAP, N_NUMBERS };

/* A replicate holds scores of the matrix, some of them several times. So scores are sorted once, and a replicate is a
 * count for each place in that order: no replicate has to be sorted. */
typedef struct resampler {
    size_t runs, tasks, cells;
    const double *scores;
    double *sorted;     /* [cells] */
    size_t *place;      /* [cells] of scores[i] in sorted */
    int32_t *run;       /* [cells] that is drawn for a cell */
    size_t *count;      /* [cells] by place */
    size_t *up_to;      /* [cells + 1] sum of the counts before a place */
    double *task_mean;  /* [tasks] */
    double *replicates; /* [N_NUMBERS][replicates] */
    uint32_t *above;    /* [MT_PROFILE_POINTS][cells + 1] replicates by number of scores above the threshold */
    size_t n_below[MT_PROFILE_POINTS]; /* scores of the matrix that are not above it */
} resampler;

static void close_resampler(resampler *s) {
    free(s->sorted);
    free(s->place);
    free(s->run);
    free(s->count);
    free(s->up_to);
    free(s->task_mean);
    free(s->replicates);
    free(s->above);
}

/* The number of sorted values that are not above x. */
static size_t count_up_to(size_t n, const double *sorted, double x) {
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        if (sorted[middle] <= x)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* Equal scores share the last of their places. */
static int open_resampler(resampler *s, size_t replicates) {
    s->cells = s->runs * s->tasks;
    s->sorted = malloc(s->cells * sizeof *s->sorted);
    s->place = malloc(s->cells * sizeof *s->place);
    s->run = malloc(s->cells * sizeof *s->run);
    s->count = malloc(s->cells * sizeof *s->count);
    s->up_to = malloc((s->cells + 1) * sizeof *s->up_to);
    s->task_mean = malloc(s->tasks * sizeof *s->task_mean);
    s->replicates = malloc(N_NUMBERS * replicates * sizeof *s->replicates);
    s->above = calloc(MT_PROFILE_POINTS * (s->cells + 1), sizeof *s->above);
    if (!s->sorted || !s->place || !s->run || !s->count || !s->up_to || !s->task_mean || !s->replicates || !s->above)
        return 0;
    memcpy(s->sorted, s->scores, s->cells * sizeof *s->sorted);
    qsort(s->sorted, s->cells, sizeof *s->sorted, compare_doubles);
    for (size_t i = 0; i < s->cells; i++) s->place[i] = count_up_to(s->cells, s->sorted, s->scores[i]) - 1;
    for (size_t i = 0; i < MT_PROFILE_POINTS; i++)
        s->n_below[i] = count_up_to(s->cells, s->sorted, mt_profile_threshold(i));
    return 1;
}

/* Counts the scores that s->run draws, run by run and task by task as the matrix lies. */
static void count_scores(resampler *s) {
    memset(s->count, 0, s->cells * sizeof *s->count);
    for (size_t j = 0; j < s->tasks; j++) s->task_mean[j] = 0;
    for (size_t i = 0, cell = 0; i < s->runs; i++)
        for (size_t j = 0; j < s->tasks; j++, cell++) {
            size_t from = (size_t)s->run[cell] * s->tasks + j;
            s->count[s->place[from]]++;
            s->task_mean[j] += s->scores[from];
        }
    for (size_t j = 0; j < s->tasks; j++) s->task_mean[j] /= (double)s->runs;
}

static double median_of(size_t n, double *values) {
    qsort(values, n, sizeof *values, compare_doubles);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/* Of the scores that were counted. Sorts task_mean. */
static void compute_numbers(resampler *s, double number[N_NUMBERS]) {
    size_t cut = s->cells / 4, end = s->cells - cut, up_to = 0;
    double inner = 0, below_one = 0, mean = 0;
    for (size_t i = 0; i < s->cells; i++) {
        s->up_to[i] = up_to;
        size_t from = up_to > cut ? up_to : cut;
        up_to += s->count[i];
        size_t to = up_to < end ? up_to : end;
        if (to > from) inner += (double)(to - from) * s->sorted[i];
        below_one += (double)s->count[i] * fmin(s->sorted[i], 1);
    }
    s->up_to[s->cells] = up_to;
    for (size_t j = 0; j < s->tasks; j++) mean += s->task_mean[j];
    number[AT_IQM] = inner / (double)(end - cut);
    number[AT_GAP] = 1 - below_one / (double)s->cells;
    number[AT_MEAN] = mean / (double)s->tasks;
    number[AT_MEDIAN] = median_of(s->tasks, s->task_mean);
}

static void draw_replicates(resampler *s, const mt_bootstrap *b) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){b->seed, LOPT_RNG_BOOTSTRAP, b->stream, 0, 0});
    for (size_t k = 0; k < b->replicates; k++) {
        double number[N_NUMBERS];
        lopt_rng_draw_rows(&r, s->runs, s->cells, s->run);
        count_scores(s);
        compute_numbers(s, number);
        for (size_t i = 0; i < N_NUMBERS; i++) s->replicates[i * b->replicates + k] = number[i];
        for (size_t i = 0; i < MT_PROFILE_POINTS; i++)
            s->above[i * (s->cells + 1) + s->cells - s->up_to[s->n_below[i]]]++;
    }
}

int mt_aggregate_scores(size_t runs, size_t tasks, const double *scores, const mt_bootstrap *b, mt_aggregates *out,
                        lopt_error *err) {
    resampler s = {.runs = runs, .tasks = tasks, .scores = scores};
    mt_interval *at[N_NUMBERS] = {&out->iqm, &out->mean, &out->median, &out->optimality_gap};
    double number[N_NUMBERS];
    int ok = open_resampler(&s, b->replicates);
    if (ok) {
        for (size_t i = 0; i < s.cells; i++) s.run[i] = (int32_t)(i / tasks);
        count_scores(&s);
        compute_numbers(&s, number);
        for (size_t i = 0; i < N_NUMBERS; i++) *at[i] = (mt_interval){number[i], NAN, NAN};
        for (size_t i = 0; i < MT_PROFILE_POINTS; i++)
            out->profile[i] = (mt_interval){(double)(s.cells - s.n_below[i]) / (double)s.cells, NAN, NAN};
    }
    if (ok && runs > 1) {
        draw_replicates(&s, b);
        for (size_t i = 0; i < N_NUMBERS; i++)
            *at[i] = interval_of(number[i], b->replicates, s.replicates + i * b->replicates);
        for (size_t i = 0; i < MT_PROFILE_POINTS; i++)
            out->profile[i] =
                interval_of_counts(out->profile[i].value, b->replicates, s.above + i * (s.cells + 1), s.cells);
    }
    close_resampler(&s);
    return ok || mt_error(err, LOPT_ENOMEM, "scores: out of memory");
}

/* ---- probability of improvement ------------------------------------------------------------------ */

/* better[tasks][runs][runs]: x of the first run against y of the second, 2 for above, 1 for equal */
static void fill_better(size_t runs, size_t tasks, const double *x, const double *y, uint8_t *better) {
    for (size_t j = 0; j < tasks; j++)
        for (size_t i = 0; i < runs; i++)
            for (size_t k = 0; k < runs; k++, better++) {
                double a = x[i * tasks + j], c = y[k * tasks + j];
                *better = (uint8_t)((a > c) + (a >= c));
            }
}

/* draws[2][runs][tasks]: runs of x, then of y */
static double improvement_of(size_t runs, size_t tasks, const uint8_t *better, const int32_t *draws) {
    const int32_t *of_y = draws + runs * tasks;
    uint64_t sum = 0;
    for (size_t j = 0; j < tasks; j++, better += runs * runs)
        for (size_t i = 0; i < runs; i++) {
            const uint8_t *row = better + (size_t)draws[i * tasks + j] * runs;
            for (size_t k = 0; k < runs; k++) sum += row[of_y[k * tasks + j]];
        }
    return (double)sum / (2 * (double)(runs * runs * tasks));
}

int mt_estimate_improvement(size_t runs, size_t tasks, const double *x, const double *y, const mt_bootstrap *b,
                            mt_interval *out, lopt_error *err) {
    size_t cells = runs * tasks;
    uint8_t *better = malloc(cells * runs);
    int32_t *draws = calloc(2 * cells, sizeof *draws);
    double *replicates = malloc(b->replicates * sizeof *replicates);
    int ok = better != NULL && draws != NULL && replicates != NULL;
    if (ok) {
        fill_better(runs, tasks, x, y, better);
        for (size_t i = 0; i < 2 * cells; i++) draws[i] = (int32_t)(i % cells / tasks);
        *out = (mt_interval){improvement_of(runs, tasks, better, draws), NAN, NAN};
    }
    if (ok && runs > 1) {
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){b->seed, LOPT_RNG_BOOTSTRAP, b->stream, 0, 0});
        for (size_t k = 0; k < b->replicates; k++) {
            lopt_rng_draw_rows(&r, runs, 2 * cells, draws);
            replicates[k] = improvement_of(runs, tasks, better, draws);
        }
        *out = interval_of(out->value, b->replicates, replicates);
    }
    free(better);
    free(draws);
    free(replicates);
    return ok || mt_error(err, LOPT_ENOMEM, "scores: out of memory");
}
