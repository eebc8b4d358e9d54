/* SPDX-License-Identifier: Apache-2.0
 *
 * reparam.h - the reparametrisation augmentation: the same task in rescaled parameters.
 *
 * The optimizer sees w = w0 / s, the task computes with s * w, and the gradient is s * dL/dW. The
 * scales s = exp(uniform(ln min, ln max)) are drawn with the task: one for all tensors (global),
 * one per tensor, or one per parameter. tau is the inner task's, then the scales. Wrappers compose.
 * Source: the task augmentation of VeLO (Metz et al. 2022). */
#ifndef TASK_REPARAM_H
#define TASK_REPARAM_H

#include "task.h"

/* Takes inner over (also on failure) and returns the wrapped task. spec->reparam is not NONE. */
task *task_reparam_wrap(task *inner, const task_spec *spec, lopt_error *err);

#endif
