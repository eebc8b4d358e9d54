/* SPDX-License-Identifier: Apache-2.0
 *
 * delegate.h - calls of a task: to its kind, else to the task that it wraps, else to its model. task.h says in
 * which order they are made. */
#ifndef TASK_DELEGATE_H
#define TASK_DELEGATE_H

#include "base/kind.h"

/* Of inner, which it takes over, also on failure; or of the spec alone where inner is NULL. NULL and *err. */
task *task_create_of_kind(const task_kind *kind, task *inner, const task_spec *spec, lopt_error *err);
void task_destroy(task *t);

void task_sample_tau(const task *t, lopt_rng_stream *r, real *tau);
void task_initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params);
void task_draw_batch(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work);
void task_after_step(const task *t, const real *tau, real *params);
real task_compute_loss(const task *t, const real *tau, void *work, const real *params, real *grads);
real task_normalise_loss(const task *t, real loss);
int task_has_accuracy(const task *t);
real task_compute_accuracy(const task *t, const real *tau, void *work, const real *params);

#endif
