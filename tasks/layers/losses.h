/* SPDX-License-Identifier: Apache-2.0
 *
 * losses.h - what a model ends with: a value of rank 0.
 *
 *     size_t labels = task_add_input_ids(m, rows);
 *     task_add_cross_entropy(m, logits, labels);
 *
 * A label below 0 leaves its row out of the cross-entropy (padding); a batch of such rows alone has loss 0.
 * What two values are compared in may be targets or computed: both get a gradient where they have one. */
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
