/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.h - normalisation, then a learned scale and offset of the last axis: y = scale (x - mean) / std + offset.
 *
 *     x = task_add_layer_norm(m, x, 1e-5);      over the last axis
 *     x = task_add_batch_norm(m, x, 1, 1e-5);   over all the others: statistics of the batch, at evaluation too
 *
 * std is sqrt(variance + epsilon), variance divided by n. Tensors "layer_scale0" and "layer_offset0", "batch_scale0"
 * and "batch_offset0"; the scale of a batch norm is
 * initialised to `start` (0 where a residual branch starts as the identity). */
#ifndef TASK_NORM_LAYERS_H
#define TASK_NORM_LAYERS_H

#include "model/model.h"

int task_add_layer_norm(task_model *m, int x, double epsilon);
int task_add_batch_norm(task_model *m, int x, double start, double epsilon);

#endif
