/* SPDX-License-Identifier: Apache-2.0
 *
 * train_run.h - a short real run of this program, and what its history says about speed.
 *
 *     mt_bench_run run = {.config = "configs/recipes/celo2.yaml", .ranks = 2, .seconds = 30};
 *     mt_bench_speed speed;
 *     mt_bench_run_once(&run, &speed, &err);
 *
 * Runs `metatrain train` in a folder of its own, which is removed: through scripts/launch where it
 * lies beside the program, which more than one rank need. First a few outer steps, to know how many
 * fill the time and what starting up costs, then these. The first tenth of them is left out. */
#ifndef MT_BENCH_RUN_H
#define MT_BENCH_RUN_H

#include <stdint.h>

#include "bench/timer.h"
#include "lopt.h"

#define MT_BENCH_MAX_SETS 4

typedef struct mt_bench_run {
    const char *config;                 /* as mt_find_installed finds it */
    const char *set[MT_BENCH_MAX_SETS]; /* --set of each, NULL past the last */
    int ranks;
    double seconds; /* about; 10 outer steps at least */
} mt_bench_run;

typedef struct mt_bench_speed {
    int64_t outer_steps;           /* in the history, the first tenth included */
    double seconds;                /* of the steps that count */
    mt_spread step_seconds;        /* mean seconds of an outer step in each fifth of these */
    double mean_step_seconds;      /* over all of these, checkpoints included */
    double core_seconds;           /* CPU seconds inside windows of all ranks, an outer step */
    double inner_steps_per_second; /* over all of these */
    double idle_share;             /* of the ranks' wall time: 1 - core_seconds / (ranks x seconds) */
    double outside_share;          /* CPU time of all processes outside windows, of their CPU time;
                             starting up is left out */
    double peak_bytes;             /* memory of the largest process */
} mt_bench_speed;

/* How many ranks can run: 1 without scripts/launch, else the number of cores. */
int mt_bench_most_ranks(void);
int mt_bench_run_once(const mt_bench_run *run, mt_bench_speed *speed, lopt_error *err);

#endif
