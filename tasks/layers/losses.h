/* SPDX-License-Identifier: Apache-2.0
 *
 * losses.h - what a model ends with: a value of rank 0.
 *
 *     size_t labels = task_input_ids(m, rows);
 *     task_cross_entropy(m, logits, labels);
 *
 * A label below 0 leaves its row out (padding); a batch of such rows alone has loss 0. */
#ifndef TASK_LOSSES_H
#define TASK_LOSSES_H

#include "model.h"

/* Mean over the rows that have a label of -log softmax(row of logits)[label]. */
int task_cross_entropy(task_model *m, int logits, size_t labels);

#endif
