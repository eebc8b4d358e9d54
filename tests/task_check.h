/* SPDX-License-Identifier: Apache-2.0
 *
 * task_check.h - the gradient of a task against signed finite differences, in double.
 *
 *     check_task(&spec);      parameters near those that the task starts with, one batch
 *     probe p = start(&spec);  ...  stop(&p);      the same to look into */
#ifndef TASK_CHECK_H
#define TASK_CHECK_H

#include "gradient_check.h"

typedef struct probe {
    task *t;
    real *tau, *params, *grads;
    void *work;
    random_stream r;
} probe;

static inline probe start(const task_spec *spec) {
    lopt_error err = {LOPT_OK, ""};
    probe p = {.t = task_create(spec, &err)};
    cr_assert(p.t != NULL, "%s", err.text);
    size_t bytes = p.t->n_params * sizeof(real);
    p.tau = aligned((p.t->n_tau + 1) * sizeof(real));
    p.params = aligned(bytes), p.grads = aligned(bytes);
    p.work = aligned(p.t->work_bytes);
    random_open(&p.r, (random_address){3, RANDOM_TEST, 1, 0, 0});
    task_sample(p.t, &p.r, p.tau);
    task_initial_params(p.t, p.tau, &p.r, p.params);
    for (size_t i = 0; i < p.t->n_params; i++) { /* away from zero biases */
        p.params[i] += 0.1 * fabs(p.params[i]) + 0.02 * random_normal(&p.r);
    }
    task_draw_batch(p.t, p.tau, TASK_TRAIN, &p.r, p.work);
    return p;
}

static inline void stop(probe *p) {
    task_destroy(p->t);
    free(p->tau), free(p->params), free(p->grads), free(p->work);
}

static inline real loss_of(void *self, const real *params, real *grads) {
    probe *p = self;
    return task_loss(p->t, p->tau, p->work, params, grads);
}

static inline void check_task(const task_spec *spec) {
    probe p = start(spec);
    /* A mixer's bias of a position is the same for all channels, and every norm takes it away. */
    int may_be_zero = !strncmp(p.t->name, "mlp_mixer", 9);
    gradient_check c = {p.t->name, p.t->tensors, p.t->n_tensors, p.params, loss_of, &p, may_be_zero};
    check_gradient(&c, &p.r);
    stop(&p);
}

#endif
