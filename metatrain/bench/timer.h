/* SPDX-License-Identifier: Apache-2.0
 *
 * timer.h - times of several things that are compared, on a machine that is not quiet.
 *
 *     mt_timed items[] = {{.run = step, .self = &a}, {.run = step, .self = &b}};
 *     mt_timing timing = mt_timing_usual(0);
 *     int rounds = mt_time_of(items, 2, &timing);
 *     mt_spread ratio = mt_ratio_of(&items[0], &items[1], rounds);
 *
 * Everything runs once in every round, one after the other, so that what slows the machine down for
 * a while slows all of them, and ratios are taken within a round. Times are CPU time of this
 * thread: that other processes have the core does not count, that they share its caches and its
 * power does. */
#ifndef MT_BENCH_TIMER_H
#define MT_BENCH_TIMER_H

#include <stddef.h>
#include <stdint.h>

#define MT_MAX_ROUNDS 11

typedef struct mt_timing {
    double slice; /* CPU seconds an item runs in a round, at least one call */
    int rounds;   /* at most; 5 where a round takes seconds */
} mt_timing;

mt_timing mt_timing_usual(int quick);

typedef struct mt_timed {
    void (*run)(void *self);
    void *self;
    int64_t calls;                 /* in a slice; found by mt_time_of */
    double seconds[MT_MAX_ROUNDS]; /* of one call, by round */
    double wall[MT_MAX_ROUNDS];    /* the same by the wall clock, for what other threads help with */
} mt_timed;

/* Measures the items; returns the number of rounds. An item without `run` is left out. */
int mt_time_of(mt_timed *items, size_t n, const mt_timing *timing);

typedef struct mt_spread {
    double median, min, max;
} mt_spread;

mt_spread mt_spread_of(const double *values, int n); /* n in 1..MT_MAX_ROUNDS */
mt_spread mt_spread_scaled(mt_spread s, double factor);
mt_spread mt_seconds_of(const mt_timed *a, int rounds);                  /* of one call */
mt_spread mt_ratio_of(const mt_timed *a, const mt_timed *b, int rounds); /* a / b in the same round */
mt_spread mt_wall_ratio(const mt_timed *a, const mt_timed *b, int rounds);

#endif
