/* SPDX-License-Identifier: Apache-2.0
 *
 * delay.c - delayed gradients: loss and gradient are those of the parameters of n steps ago.
 *
 * The last n + 1 parameters travel with the particle, behind its own (n_aux of task.h): a ring, then the number
 * of its oldest place. Before n steps were made the oldest are the initial ones. Source: the task augmentations
 * of VeLO (Metz et al. 2022); there a delay of n >= 2 is one of n - 1, by the arithmetic of an index. */
#include <string.h>

#include "base/declare.h"
#include "model/delegate.h"

typedef struct delay {
    size_t size, n_places; /* a place holds the parameters at a step */
} delay;

static real *ring_of_params(const task *t, real *params) {
    return params + ((const delay *)t->self)->size;
}

static const real *oldest_params(const task *t, const real *params) {
    const delay *self = t->self;
    const real *ring = params + self->size;
    return ring + (size_t)ring[self->n_places * self->size] * self->size;
}

static void delay_initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    const delay *self = t->self;
    real *ring = ring_of_params(t, params);
    task_initial_params(t->inner, tau, r, params);
    for (size_t i = 0; i < self->n_places; i++) memcpy(ring + i * self->size, params, self->size * sizeof *params);
    ring[self->n_places * self->size] = 0;
}

static void delay_after_step(const task *t, const real *tau, real *params) {
    const delay *self = t->self;
    real *ring = ring_of_params(t, params), *at = &ring[self->n_places * self->size];
    task_after_step(t->inner, tau, params);
    memcpy(ring + (size_t)*at * self->size, params, self->size * sizeof *params);
    *at = (real)(((size_t)*at + 1) % self->n_places);
}

static real delay_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    return task_compute_loss(t->inner, tau, work, oldest_params(t, params), grads);
}

static real delay_accuracy(const task *t, const real *tau, void *work, const real *params) {
    return task_compute_accuracy(t->inner, tau, work, oldest_params(t, params));
}

static int delay_create(task *t, const task_spec *spec, lopt_error *err) {
    (void)err;
    delay *self = t->self;
    self->size = t->inner->n_params;
    self->n_places = (size_t)spec->delay + 1;
    t->n_aux = self->n_places * self->size + 1;
    task_append_name(t, ", delay %d", spec->delay);
    return 1;
}

static const task_setting delay_settings[] = {
    {"augment.delay", TASK_INTEGER(delay), "[0, 65536]", "0", "inner steps",
     "delayed gradients: loss and gradient are taken at the parameters of this many steps ago"},
};

const task_kind task_wrapper_delay = {
    .name = "delay",
    .settings = delay_settings,
    .n_settings = TASK_COUNT(delay_settings),
    .self_size = sizeof(delay),
    .create = delay_create,
    .initial_params = delay_initial_params,
    .after_step = delay_after_step,
    .loss = delay_loss,
    .accuracy = delay_accuracy,
};
