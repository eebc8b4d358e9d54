/* SPDX-License-Identifier: Apache-2.0
 *
 * dropout.h - values dropped at random, drawn with the batch: y = x / (1 - rate) or 0, the latter with probability rate.
 *
 *     x = task_add_dropout(m, x, 0.2);      0 <= rate < 1; rate 0 is no layer
 *
 * The noise is drawn by task_model_draw, so the loss of a drawn batch is a function of the parameters. */
#ifndef TASK_DROPOUT_H
#define TASK_DROPOUT_H

#include "model/model.h"

int task_add_dropout(task_model *m, int x, double rate);

#endif
