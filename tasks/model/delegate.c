/* SPDX-License-Identifier: Apache-2.0
 *
 * delegate.c - see delegate.h. */
#include "model/delegate.h"

#include <math.h>
#include <stdlib.h>

#include "base/normaliser.h"
#include "base/task_error.h"
#include "model/model.h"

task *task_create_of_kind(const task_kind *kind, task *inner, const task_spec *spec, lopt_error *err) {
    task *t = calloc(1, sizeof *t);
    void *self = calloc(1, kind->self_size + 1);
    if (!t || !self) {
        task_set_error(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
        free(t);
        free(self);
        task_destroy(inner);
        return NULL;
    }
    *t = inner ? *inner : (task){.loss_bound = INFINITY};
    t->kind = kind;
    t->inner = inner;
    t->model = NULL;
    t->self = self;
    int ok = kind->create(t, spec, err);
    if (ok && !t->tensors) ok = task_set_error(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    if (ok) return t;
    task_destroy(t);
    return NULL;
}

void task_destroy(task *t) {
    if (!t) return;
    if (t->kind->destroy) t->kind->destroy(t);
    if (!t->inner) {
        task_model_destroy(t->model);
        free(t->tensors);
    }
    task_destroy(t->inner);
    free(t->self);
    free(t);
}

/* What a kind leaves out is the wrapped task's, else the model's. */

void task_sample_tau(const task *t, lopt_rng_stream *r, real *tau) {
    if (t->kind->sample)
        t->kind->sample(t, r, tau);
    else if (t->inner)
        task_sample_tau(t->inner, r, tau);
    else if (t->model)
        task_model_sample(t->model, r, tau);
}

void task_initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    if (t->kind->initial_params)
        t->kind->initial_params(t, tau, r, params);
    else if (t->inner)
        task_initial_params(t->inner, tau, r, params);
    else
        task_model_init(t->model, tau, r, params);
}

void task_draw_batch(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    if (t->kind->draw_batch)
        t->kind->draw_batch(t, tau, split, r, work);
    else
        task_draw_batch(t->inner, tau, split, r, work);
}

void task_after_step(const task *t, const real *tau, real *params) {
    if (t->kind->after_step)
        t->kind->after_step(t, tau, params);
    else if (t->inner)
        task_after_step(t->inner, tau, params);
}

real task_compute_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    if (t->kind->loss) return t->kind->loss(t, tau, work, params, grads);
    if (t->inner) return task_compute_loss(t->inner, tau, work, params, grads);
    return task_model_loss(t->model, tau, work, params, grads);
}

real task_normalise_loss(const task *t, real loss) {
    if (t->inner) return task_normalise_loss(t->inner, loss);
    return t->kind->normalise ? t->kind->normalise(t, loss) : task_normaliser_apply(&t->normaliser, loss);
}

int task_has_accuracy(const task *t) {
    return t->inner ? task_has_accuracy(t->inner) : t->kind->accuracy != NULL;
}

real task_compute_accuracy(const task *t, const real *tau, void *work, const real *params) {
    if (!task_has_accuracy(t)) return (real)NAN;
    if (t->kind->accuracy) return t->kind->accuracy(t, tau, work, params);
    return task_compute_accuracy(t->inner, tau, work, params);
}
