/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h - what a run measures of its own costs, and DIR/costs.json, which tells `metatrain simulate`.
 *
 *     {"tasks": [{"task": "image_mlp", "step_seconds": 6.1e-05}, ...], "spread": 0.04,
 *      "outside_share": 0.01,
 *      "message_seconds": 3e-06, "serial_seconds": 5e-05, "draw_seconds": 2e-09,
 *      "gradient_seconds": 4e-04, "ship_seconds": ..., "move_seconds": ...}
 *
 * All return 1, or 0 and a message. */
#ifndef MT_PROFILE_H
#define MT_PROFILE_H

#include "ranks/cost_model.h"

typedef struct mt_profile {
    mt_cost_model costs;
    double spread;              /* of the time of a window over its prediction: standard deviation */
    double message;             /* seconds of rank 0 for a message that it takes */
    double overhead_fraction;   /* of the CPU time of all ranks outside windows and the two below */
    double coordinator_seconds; /* of rank 0 from the last report of an outer step to the next window, but for the
                                 * gradient: */
    double noise_seconds;       /* CPU seconds to add one parameter's noise of one particle to the gradient */
    double gradient_seconds;    /* that it took, by rank 0 or shared: to compare with; not read */
} mt_profile;

int mt_profile_write(const char *path, const mt_profile *m, const mt_config *cfg, lopt_error *err);
/* The file must list as many tasks as cfg. */
int mt_profile_read(const char *path, mt_profile *m, const mt_config *cfg, lopt_error *err);

/* Rank 0, while a run goes on. */
typedef struct mt_profiler {
    mt_profile profile; /* its costs and spread are filled by mt_finish_profile */
    double task_seconds[MT_MAX_TASKS], task_steps[MT_MAX_TASKS]; /* of windows of one task */
    double squares, windows;                                     /* of relative errors of predictions; how many */
    double last_report; /* when the last report of the outer step came; 0: not yet */
    double *cpu;        /* [ranks] CPU seconds of each process, as last heard */
    int n_ranks;
    double cpu_before;     /* of all, at the end of the last outer step */
    double cpu_validation; /* of what they will say next, to be left out of the next step */
} mt_profiler;

int mt_profiler_open(mt_profiler *p, int n_ranks, lopt_error *err);
void mt_profiler_close(mt_profiler *p);
/* Adds a window's times; cost: what was predicted, 0: nothing. */
void mt_learn_window(mt_profiler *p, mt_cost_model *costs, const mt_report *report, double cost);
/* Between the last report of an outer step and the next window; to be called at both ends. */
void mt_start_coordinator_time(mt_profiler *p);
void mt_stop_coordinator_time(mt_profiler *p);
/* At the end of an outer step, whose windows took so many seconds and its gradient so many of all ranks. Returns the
 * share of the ranks' CPU time since the last one that was outside windows; NaN the first time. */
double mt_learn_overhead(mt_profiler *p, double windows, double gradient);
/* What costs.json says. */
mt_profile mt_finish_profile(const mt_profiler *p, const mt_cost_model *costs);

#endif
