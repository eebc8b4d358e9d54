/* SPDX-License-Identifier: Apache-2.0
 *
 * trajectory.h - where a particle is in its trajectories: when one ends, what the next one trains on and how long it is.
 *
 * The only copy of these rules. Training (unroll.c) and `metatrain simulate` follow them; the cost model predicts
 * by them. All draws are addressed by (particle, trajectory, outer step), so any rank gives the same answer.
 *
 *     mt_renew_structure(cfg, &at, outer_step);                       at the start of a window
 *     if (mt_trajectory_is_over(&at))
 *         planned = mt_start_next_trajectory(cfg, &at, outer_step, &r);
 *     at.inner_step++;                                                every inner step */
#ifndef MT_TRAJECTORY_H
#define MT_TRAJECTORY_H

#include "config/config.h"
#include "rng/rng.h"

/* All 64-bit integers: saved as one array. A new particle has length 0: its first window starts trajectory 0. */
typedef struct mt_particle_counters {
    int64_t number;      /* which particle of the run */
    int64_t task;        /* index into the configuration's tasks */
    int64_t trajectory;  /* current one; -1 before the first */
    int64_t inner_step;  /* steps done in it */
    int64_t length;      /* it ends after so many */
    int64_t noise;       /* current draw; -1 before the first */
    int64_t noise_draws; /* made so far */
    int64_t structure;   /* draw of a sampled task's structure (task_sampler.h) */
} mt_particle_counters;

/* Whether counters that came from elsewhere may be used as indices and lengths. */
int mt_check_counters(const mt_config *cfg, const mt_particle_counters *at);

static inline int mt_trajectory_is_over(const mt_particle_counters *at) {
    return at->inner_step >= at->length;
}

/* Task and length of the next trajectory, which begins in this outer step. Returns its planned length, which the
 * optimizer is told; a particle's first trajectory ends earlier. *r is left where the member of the task is drawn. */
int64_t mt_start_next_trajectory(const mt_config *cfg, mt_particle_counters *at, int64_t outer_step,
                                 lopt_rng_stream *r);
/* In every outer step a sampled structure is renewed with probability 1 / sample.every, which ends the trajectory. */
void mt_renew_structure(const mt_config *cfg, mt_particle_counters *at, int64_t outer_step);
/* Which of the configuration's tasks a trajectory trains on. */
int64_t mt_next_task(const mt_config *cfg, int64_t particle, int64_t trajectory);

/* The counters after a window in which no loss diverges. */
void mt_advance_window(const mt_config *cfg, mt_particle_counters *at, int64_t window);
/* Inner steps of each task, steps[n_tasks], that such a window makes: for predicting what it costs. Of a window
 * longer than the trajectory, what follows is taken to be the next trajectory's. */
void mt_predict_steps(const mt_config *cfg, const mt_particle_counters *at, int64_t window,
                      int64_t steps[MT_MAX_TASKS]);

#endif
