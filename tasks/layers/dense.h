/* SPDX-License-Identifier: Apache-2.0
 *
 * dense.h - a fully connected layer, y = x W + b over the last axis; with an activation after it one layer.
 *
 *     x = task_add_dense(m, x, width, init);
 *
 * Tensors "w0" (in, width), initialised by init, and "b0" (width), zeros. */
#ifndef TASK_DENSE_H
#define TASK_DENSE_H

#include "layers/init.h"

int task_add_dense(task_model *m, int x, int width, task_init init);
int task_dense_without_bias(task_model *m, int x, int width, task_init init);
/* As task_add_dense, with an initialisation of the bias. */
int task_add_dense_with(task_model *m, int x, int width, task_init weights, task_init bias);

#endif
