/* SPDX-License-Identifier: Apache-2.0
 *
 * augment.h - the task augmentations of VeLO (Metz et al. 2022): another task, changed in one way. */
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
