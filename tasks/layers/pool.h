/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.h - pooling of images, channel by channel.
 *
 *     x = task_add_max_pool(m, x, 3, 2, TASK_SAME);      the largest in each window
 *     x = task_average_pool(m, x, 2, 2, TASK_VALID);
 *     x = task_add_global_average(m, x);                 [batch, rows, cols, channels] -> [batch, channels]
 *
 * window.h says how many windows there are. Padding is no pixel: it is never the largest, and averages are of the
 * pixels inside. Of equal pixels the first is the largest. Source: Haiku's max_pool and avg_pool. */
#ifndef TASK_POOL_H
#define TASK_POOL_H

#include "layers/window.h"

int task_add_max_pool(task_model *m, int x, int size, int stride, task_padding padding);
int task_average_pool(task_model *m, int x, int size, int stride, task_padding padding);
int task_add_global_average(task_model *m, int x);

#endif
