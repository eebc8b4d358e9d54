/* SPDX-License-Identifier: Apache-2.0
 *
 * augment.h - the task augmentations of VeLO (Metz et al. 2022): tasks that hold another task (t->inner) and change one
 * thing about it.
 *
 * A wrapper is a task_kind. What it leaves out is the inner task's (model/delegate.h): it writes only what it changes.
 * A wrapped task has the tensors of the inner one, and its tau and work before its own, so wrappers compose. The one
 * that keeps values from step to step (delay) is the outermost. An augmentation is in use where its first setting is
 * not the default. The batch is reduced by whoever draws it (task_create): the first examples of a batch are a
 * smaller batch. */
#ifndef TASK_AUGMENT_H
#define TASK_AUGMENT_H

#include "base/kind.h"

/* Every augmentation that the spec asks for, around inner, from the inside out in VeLO's order. Takes inner
 * over; NULL and *err on failure. */
task *task_add_augmentations(task *inner, const task_spec *spec, lopt_error *err);

/* Settings of all augmentations; NULL past the last. That a spec's are in their ranges; 0 and *err else. */
const task_setting *task_augment_setting(size_t i);
int task_augment_check(const task_spec *spec, lopt_error *err);

/* What VeLO's task distribution wraps its tasks with: scales of parameters, gradients by ES, part of a batch,
 * bfloat16, gradients of length one, few directions, late gradients. Sets every such field of the spec. */
void task_draw_augmentations(task_spec *spec, lopt_rng_stream *r);

#endif
