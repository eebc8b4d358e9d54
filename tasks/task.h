/* SPDX-License-Identifier: Apache-2.0
 *
 * task.h - what a learned optimizer is trained on: a model, its data and its loss.
 *
 * A task has a fixed structure (tensors, sizes, data set) and, where it is a family, a few sampled values
 * `tau` that say which member this is (centre of a quadratic, scales of a reparametrisation). One inner
 * training, as every caller does it:
 *
 *     task *t = task_create(&spec, &err);                       structure; may read a data set
 *     task_sample_tau(t, &rng, tau);                                which member: tau[t->n_tau]
 *     task_initial_params(t, tau, &rng, params);                params[t->n_params + t->n_aux]
 *     for each inner step:
 *         task_draw_batch(t, tau, TASK_TRAIN, &rng, work);      batch into work; twins share it
 *         loss = task_compute_loss(t, tau, work, params, grads);        grads NULL: the loss alone
 *         lopt_step(opt, state, params, grads, loss, NULL);
 *         task_after_step(t, tau, params);
 *     task_destroy(t);
 *
 * To add a task: write one file in tasks/models/ with a `task_kind` (base/kind.h) and add its name to
 * tasks/task_registry.c; `metatrain list tasks` and the gradient test find it there.
 * A wrapper (tasks/augment/) is a task that holds another task; wrappers compose.
 *
 * Shapes   as lopt.h: tensors back to back, row-major; weights (in, out).
 * Work     scratch of t->work_bytes, 64-byte aligned, owned by the caller, one per thread. It carries the
 *          drawn batch from task_draw_batch to task_compute_loss; nothing else survives between calls.
 * Random   every function takes a stream opened by the caller and is a pure function of it.
 * Errors   task_create returns NULL and *err; LOPT_ESHAPE where the model's sizes are empty or too large,
 *          which families may draw (task_family_sample draws again). The others cannot fail; a diverged model gives a
 *          non-finite loss, which the caller handles (task_normalise_loss maps it to the task's bound if any).
 * real     float; the gradient tests compile this folder with -DTASK_REAL_DOUBLE. */
#ifndef TASK_H
#define TASK_H

#include "base/kind.h"
#include "model/delegate.h"

task_spec task_spec_default(void);
/* Fills the fields that a published name fixes and puts the kind's name for it into spec->task, so that
 * what is set afterwards overrides the published sizes; 1 if spec->task is known. */
int task_spec_resolve(task_spec *spec, lopt_error *err);
task *task_create(const task_spec *spec, lopt_error *err);

extern const task_kind *const task_kinds[];        /* ends with NULL */
const task_kind *task_kind_find(const char *name); /* NULL: no kind */

/* Settings of all kinds, then of the augmentations: NULL past the last. A key of several kinds comes with each of them;
 * task_setting_find gives the first, or a number past the last. */
const task_setting *task_setting_at(size_t i);
size_t task_setting_find(const char *key);

/* Kinds and published names, for `metatrain list tasks`; NULL past the last. */
const task_info *task_name_at(size_t i);

const task_family *task_family_at(size_t i); /* NULL past the last */
/* One structure that costs at most max_flops a loss and gradient (0: any), of up to 512 draws; 0 and *err
 * where none does or spec->task is no family. */
int task_family_sample(task_spec *spec, lopt_rng_stream *r, double max_flops, lopt_error *err);

#endif
