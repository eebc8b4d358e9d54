/* SPDX-License-Identifier: Apache-2.0
 *
 * unroll.h - windows of particles: inner steps of both twins, and what they report.
 *
 *     mt_unroller_open(&u, cfg, optimizer, trainable, &err);   once a rank: tasks, optimizers, scratch
 *     mt_unroller_set_theta(&u, theta);                        at every outer step
 *     mt_begin_window(&u, particle, outer_step, &err);         one window is in hand at a time
 *     while (mt_step_window(&u)) ...                           one inner step; the caller may do other things between
 *     mt_finish_window(&u, &report);
 *
 * A window is `estimator.window` inner steps of both twins (full ES: a whole trajectory). The inner step after the
 * last one of a trajectory is the first of the next: a new trajectory samples a task, initial parameters and a
 * length (trajectory.h), all addressed by (particle, trajectory), so the result is a function of the particle and
 * theta alone, whoever runs it. What twins share: task, initial parameters, length, batches; they differ in theta
 * alone.
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

/* Losses of a twin over the trajectory of a full-ES window. */
typedef struct mt_reduced_losses {
    double mean, least, last;
} mt_reduced_losses;

typedef struct mt_unroller {
    const mt_config *cfg; /* borrowed */
    const mt_rule *rule;
    mt_noise noise;
    mt_task_sampler sampler;
    lopt_optimizer *optimizer[2]; /* at theta+delta, theta-delta */
    float *theta, *perturbed[2];  /* [n_theta] each; of the twins: frozen parameters as in theta */
    float *grads;
    /* The window in hand. */
    mt_particle *particle;      /* borrowed; NULL: there is none */
    mt_task_instance *instance; /* what the particle trains on */
    mt_report report;
    int64_t steps;    /* of the window, done */
    double cpu_start; /* of this thread, when it began */
    mt_reduced_losses reduced[2];
} mt_unroller;

/* trainable[n_theta]: 1, or 0 where frozen; borrowed. */
int mt_unroller_open(mt_unroller *u, const mt_config *cfg, const lopt_optimizer *optimizer,
                     const unsigned char *trainable, lopt_error *err);
void mt_unroller_close(mt_unroller *u);
void mt_unroller_set_theta(mt_unroller *u, const float *theta); /* not while a window is in hand */

/* 0 and a message if a task that is sampled cannot be made. A window in hand is abandoned. */
int mt_begin_window(mt_unroller *u, mt_particle *p, int64_t outer_step, lopt_error *err);
int mt_step_window(mt_unroller *u); /* one inner step of both twins; 0: that was the last */
void mt_finish_window(mt_unroller *u, mt_report *report);

/* All three. */
int mt_unroll_window(mt_unroller *u, mt_particle *p, int64_t outer_step, mt_report *report, lopt_error *err);

#endif
