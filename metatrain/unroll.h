/* SPDX-License-Identifier: Apache-2.0
 *
 * unroll.h - inner training: one inner step, and one window of a particle.
 *
 *     mt_unroller_open(&u, cfg, optimizer, trained, &err);   once a rank: tasks, optimizers, scratch
 *     mt_unroller_set_theta(&u, theta);                      at every outer step
 *     mt_unroll_window(&u, particle, window, &report);       for each particle of this rank
 *
 * A window is `estimator.window` inner steps of both twins (full ES: a whole trajectory). The inner
 * step after the last one of a trajectory is the first of the next: a new trajectory samples a
 * task, initial parameters and a length, all addressed by (particle, trajectory), so the result is
 * a function of the particle and theta alone, whoever runs it. */
#ifndef MT_UNROLL_H
#define MT_UNROLL_H

#include "estimator.h"
#include "particle.h"
#include "task.h"

/* One inner step: the loss of the drawn batch at params, then the optimizer's update. Returns the
 * loss. */
float mt_inner_step(const task *t, const float *tau, void *work, const lopt_optimizer *opt,
                    lopt_state *state, float *params, float *grads);

/* Planned length of a trajectory (spec B.1), by the schedule of the configuration. */
int64_t mt_trajectory_length(const mt_config *cfg, int64_t particle, int64_t trajectory);

typedef struct mt_unroller {
    const mt_config *cfg; /* borrowed */
    const mt_rule *rule;
    mt_noise noise;
    mt_particle_sizes sizes; /* of this run's particles */
    task *task[MT_MAX_TASKS];
    lopt_state *state[MT_MAX_TASKS][2];
    lopt_optimizer *optimizer[2];     /* at theta+delta, theta-delta */
    float *theta, *perturbed[2];      /* [n_theta] each; of the twins: frozen numbers as in theta */
    float *grads;
    void *work;
} mt_unroller;

/* trained[n_theta]: 1 or 0 for frozen; borrowed. */
int mt_unroller_open(mt_unroller *u, const mt_config *cfg, const lopt_optimizer *optimizer,
                     const unsigned char *trained, lopt_error *err);
void mt_unroller_close(mt_unroller *u);
void mt_unroller_set_theta(mt_unroller *u, const float *theta);
void mt_unroll_window(mt_unroller *u, mt_particle *p, int64_t window, mt_report *report);

#endif
