/* SPDX-License-Identifier: Apache-2.0
 *
 * inner_step.h - one inner step: the one copy that training, validation, evaluation and bench share.
 *
 *     task_draw_batch(t, tau, TASK_TRAIN, &r, work);         which batch is the caller's choice; twins share it
 *     loss = mt_take_inner_step(&training, NULL); */
#ifndef MT_INNER_STEP_H
#define MT_INNER_STEP_H

#include "lopt.h"
#include "task.h"

/* One inner training; everything is borrowed. */
typedef struct mt_inner_training {
    const task *task;
    const float *tau; /* which member of the task */
    void *work;       /* the drawn batch and scratch of the task */
    const lopt_optimizer *optimizer;
    lopt_state *state;
    float *params, *grads;
} mt_inner_training;

/* Loss and gradient on the drawn batch, then the update of params. Returns the loss before the update; *accuracy,
 * unless NULL: the share of the batch that is classified right before the update. */
static inline float mt_take_inner_step(const mt_inner_training *t, float *accuracy) {
    float loss = task_compute_loss(t->task, t->tau, t->work, t->params, t->grads);
    if (accuracy) *accuracy = task_compute_accuracy(t->task, t->tau, t->work, t->params);
    lopt_step(t->optimizer, t->state, t->params, t->grads, loss, NULL);
    task_after_step(t->task, t->tau, t->params);
    return loss;
}

#endif
