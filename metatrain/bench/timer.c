/* SPDX-License-Identifier: Apache-2.0
 *
 * timer.c - see timer.h. */
#include "bench/timer.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#include "base/progress.h"

#define FEW_ROUNDS 5
#define LONG_ROUND 1.0 /* seconds from which on a round is long */

mt_timing mt_timing_usual(int quick) {
    return (mt_timing){quick ? 0.001 : 0.02, quick ? FEW_ROUNDS : MT_MAX_ROUNDS};
}

static double time_calls(const mt_timed *item, int64_t calls) {
    double start = mt_cpu_seconds();
    for (int64_t i = 0; i < calls; i++) item->run(item->self);
    return mt_cpu_seconds() - start;
}

/* Doubles the number of calls until they fill a quarter of a slice; returns the seconds of a slice.
 */
static double calibrate_repeats(mt_timed *item, double slice) {
    int64_t calls = 1;
    double seconds = time_calls(item, calls);
    while (seconds < slice / 4) seconds = time_calls(item, calls *= 2);
    double fit = slice / seconds * (double)calls;
    item->calls = fit < 1 ? 1 : (int64_t)fit;
    return seconds / (double)calls * (double)item->calls;
}

int mt_time_of(mt_timed *items, size_t n, const mt_timing *timing) {
    double round_seconds = 0;
    for (size_t i = 0; i < n; i++)
        if (items[i].run) round_seconds += calibrate_repeats(&items[i], timing->slice);
    int rounds = round_seconds > LONG_ROUND ? FEW_ROUNDS : timing->rounds;
    for (int r = 0; r < rounds; r++)
        for (size_t i = 0; i < n; i++) {
            if (!items[i].run) continue;
            if (items[i].calls > 1) items[i].run(items[i].self); /* its data into the caches */
            double start = mt_wall_seconds();
            items[i].seconds[r] = time_calls(&items[i], items[i].calls) / (double)items[i].calls;
            items[i].wall[r] = (mt_wall_seconds() - start) / (double)items[i].calls;
        }
    return rounds;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

mt_spread mt_spread_of(const double *values, int n) {
    double sorted[MT_MAX_ROUNDS];
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return (mt_spread){(sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[0], sorted[n - 1]};
}

mt_spread mt_spread_scaled(mt_spread s, double factor) {
    return (mt_spread){s.median * factor, s.min * factor, s.max * factor};
}

mt_spread mt_seconds_of(const mt_timed *a, int rounds) {
    return mt_spread_of(a->seconds, rounds);
}

static mt_spread ratio_of(const double *a, const double *b, int rounds) {
    double ratio[MT_MAX_ROUNDS] = {0};
    for (int r = 0; r < rounds; r++) ratio[r] = a[r] / b[r];
    return mt_spread_of(ratio, rounds);
}

mt_spread mt_ratio_of(const mt_timed *a, const mt_timed *b, int rounds) {
    return ratio_of(a->seconds, b->seconds, rounds);
}

mt_spread mt_wall_ratio(const mt_timed *a, const mt_timed *b, int rounds) {
    return ratio_of(a->wall, b->wall, rounds);
}
