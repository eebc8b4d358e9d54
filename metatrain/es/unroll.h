/* SPDX-License-Identifier: Apache-2.0
 *
 * unroll.h - inner training: one inner step, and one window of a particle.
 *
 *     mt_unroller_open(&u, cfg, optimizer, trained, &err);   once a rank: tasks, optimizers, scratch
 *     mt_unroller_set_theta(&u, theta);                      at every outer step
 *     mt_sampler_prepare(&u.mixture, particle, window, &err);   for each particle of this rank, where
 *     mt_unroll_window(&u, particle, window, &report);          structures of tasks are sampled
 *
 * A window is `estimator.window` inner steps of both twins (full ES: a whole trajectory). The inner
 * step after the last one of a trajectory is the first of the next: a new trajectory samples a
 * task, initial parameters and a length, all addressed by (particle, trajectory), so the result is
 * a function of the particle and theta alone, whoever runs it. What twins share: task, initial
 * parameters, length, batches; they differ in theta alone.
 *
 * `estimator.compat: reference` unrolls as the published implementations do:
 *
 *     tes, pes, nres   a reset costs an inner step of the window, which has no meta-loss
 *     pes              the loss of a trajectory's last step belongs to the next trajectory's noise, and
 *                      that noise stays in the sum although it never acted there
 *     all but es       a particle's first optimizer states are made under theta, not theta +- delta
 *     all              a particle that diverges goes on to the end of its trajectory */
#ifndef MT_UNROLL_H
#define MT_UNROLL_H

#include "es/es_gradient.h"
#include "es/particle.h"
#include "es/task_sampler.h"
#include "task.h"

/* Inner steps of each task, steps[n_tasks], that this window of a particle makes unless a loss
 * diverges: for predicting what it costs. */
void mt_predict_steps(const mt_config *cfg, const mt_particle_counters *at, int64_t window,
                      int64_t steps[MT_MAX_TASKS]);

typedef struct mt_unroller {
    const mt_config *cfg; /* borrowed */
    const mt_rule *rule;
    int64_t outer_step; /* of the window at hand */
    mt_noise noise;
    mt_task_sampler mixture;
    mt_task_instance *now;        /* what the particle at hand trains on */
    lopt_optimizer *optimizer[2]; /* at theta+delta, theta-delta */
    float *theta, *perturbed[2];  /* [n_theta] each; of the twins: frozen numbers as in theta */
    float *grads;
    /* Called between inner steps, for a rank that must answer others; NULL: nobody. */
    void (*between)(void *listener);
    void *listener;
} mt_unroller;

/* trained[n_theta]: 1 or 0 for frozen; borrowed. */
int mt_unroller_open(mt_unroller *u, const mt_config *cfg, const lopt_optimizer *optimizer,
                     const unsigned char *trained, lopt_error *err);
void mt_unroller_close(mt_unroller *u);
void mt_unroller_set_theta(mt_unroller *u, const float *theta);
void mt_unroll_window(mt_unroller *u, mt_particle *p, int64_t window, mt_report *report);

#endif
