/* SPDX-License-Identifier: Apache-2.0
 *
 * losses.h - losses, the last layer of a model: a value of rank 0.
 *
 *     size_t labels = task_add_input_ids(m, rows);
 *     task_add_cross_entropy(m, logits, labels);
 *
 * A label below 0 leaves its row out of the cross-entropy (padding); a batch of such rows alone has loss 0.
 * Both of two compared values may be targets or computed: each gets a gradient if it depends on parameters. */
#ifndef TASK_LOSSES_H
#define TASK_LOSSES_H

#include "model/model.h"

/* Mean over the rows that have a label of -log softmax(row of logits)[label]. */
int task_add_cross_entropy(task_model *m, int logits, size_t labels);
/* Mean over rows and columns of (logit - 1 at the label, 0 elsewhere)^2. */
int task_add_one_hot_error(task_model *m, int logits, size_t labels);
/* Mean of (x - target)^2. */
int task_add_squared_error(task_model *m, int x, int target);
/* Mean of ln(e + 1e-8), e the mean over axis 1 of (x - target)^2. */
int task_add_log_squared_error(task_model *m, int x, int target);

#endif
