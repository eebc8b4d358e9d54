/* SPDX-License-Identifier: Apache-2.0
 *
 * statistics.h - smoothed curves, and aggregates of scores over runs and tasks with 95 % intervals. Numbers alone: what
 * the scores mean is in scores.h.
 *
 *     mt_bootstrap b = {.seed = 1, .replicates = MT_REPLICATES};
 *     mt_aggregates a;
 *     if (!mt_aggregate_scores(runs, tasks, scores, &b, &a, &err)) ...     scores[runs][tasks], all finite
 *     printf("%g [%g, %g]", a.iqm.value, a.iqm.low, a.iqm.high);
 *
 * The stratified bootstrap draws, for every task, as many runs with replacement as there are, one index a cell, and
 * computes the aggregate again; an interval lies between the 2.5th and the 97.5th percentile of the replicates, by
 * linear interpolation. Tasks are not resampled: an interval says what other seeds could have given on these tasks.
 * One run has no interval: low and high are NaN. All random numbers come from the stream (seed, LOPT_RNG_BOOTSTRAP,
 * stream, 0, 0): the same scores give the same bits.
 *
 * Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice, and its code,
 * rliable. */
#ifndef MT_STATISTICS_H
#define MT_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "lopt.h"

enum { MT_REPLICATES = 50000, MT_PROFILE_POINTS = 61 };

typedef struct mt_interval {
    double value, low, high;
} mt_interval;

typedef struct mt_bootstrap {
    uint64_t seed, stream;
    size_t replicates; /* >= 1 */
} mt_bootstrap;

typedef struct mt_aggregates {
    mt_interval iqm;          /* interquartile mean: runs * tasks / 4 scores (rounded down) are left out at each end */
    mt_interval mean, median; /* of the means of tasks over runs */
    mt_interval optimality_gap;             /* 1 - mean of min(score, 1): smaller is better */
    mt_interval profile[MT_PROFILE_POINTS]; /* share of scores above mt_profile_threshold(i) */
} mt_aggregates;

/* Exponential moving average, smooth[0] = y[0], smooth[i] = factor smooth[i - 1] + (1 - factor) y[i]. A y that is NaN
 * or infinite is skipped: smooth stays what it was, and is NaN before the first finite y. smooth may be y. */
void mt_smooth_curve(size_t n, const double *y, double factor, double *smooth);
/* The first x at which the curve through (x, y), linear between points, is down at level; x[0] if it starts there,
 * x[n - 1] if it never gets there. x rises, y never rises and may begin with infinities; n >= 1. */
double mt_invert_curve(size_t n, const double *x, const double *y, double level);
/* Mean of n values and its 95 % interval by Student's t; n = 1: low and high are NaN. */
mt_interval mt_estimate_mean(size_t n, const double *values);

double mt_profile_threshold(size_t i); /* 0, 0.05, ..., 3 */
/* scores[runs][tasks]. 1, or 0 and a message if memory is out. */
int mt_aggregate_scores(size_t runs, size_t tasks, const double *scores, const mt_bootstrap *b, mt_aggregates *out,
                        lopt_error *err);
/* Mean over tasks of P(x > y) + P(x = y) / 2 over all pairs of a run of x and a run of y, both [runs][tasks], resampled
 * independently. 1, or 0 and a message. */
int mt_estimate_improvement(size_t runs, size_t tasks, const double *x, const double *y, const mt_bootstrap *b,
                            mt_interval *out, lopt_error *err);

#endif
