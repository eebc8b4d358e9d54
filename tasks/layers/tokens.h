/* SPDX-License-Identifier: Apache-2.0
 *
 * tokens.h - layers of vision transformers and mixers on a sequence x[batch, time, width].
 *
 *     x = task_add_class_token(m, x);              one more step at the front: tensor "class0" [width], zeros
 *     x = task_add_positions(m, x, init);          x + tensor "positions0" [time, width]
 *     x = task_add_first_token(m, x);              [batch, width]
 *     x = task_add_swap_tokens(m, x);              [batch, width, time], so that a dense layer mixes the steps
 *
 * The mean over time is task_add_global_average (pool.h) of [batch, time, 1, width]. */
#ifndef TASK_TOKENS_H
#define TASK_TOKENS_H

#include "layers/init.h"

int task_add_class_token(task_model *m, int x);
int task_add_positions(task_model *m, int x, task_init init);
int task_add_first_token(task_model *m, int x);
int task_add_swap_tokens(task_model *m, int x);

#endif
