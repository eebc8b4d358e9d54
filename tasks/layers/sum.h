/* SPDX-License-Identifier: Apache-2.0
 *
 * sum.h - the sum of values of one shape (residual connections), learned vectors along the last axis, and a fixed
 * scale and shift. */
#ifndef TASK_SUM_H
#define TASK_SUM_H

#include "layers/init.h"

int task_add_sum(task_model *m, int n, const int *x); /* 2..TASK_LAYER_INPUTS values */
/* y = x + b or x scale; tensor "bias0" or "scale0", of the last axis. */
int task_add_bias(task_model *m, int x, task_init init);
int task_add_scale(task_model *m, int x, task_init init);
/* y = factor x + shift */
int task_add_affine(task_model *m, int x, double factor, double shift);

#endif
