/* SPDX-License-Identifier: Apache-2.0
 *
 * embed.h - embedding: rows of a table, by id.
 *
 *     size_t ids = task_add_input_ids(m, steps * batch);
 *     x = task_add_embedding(m, ids, rank, dim, vocab, init);   value [dim...], its last axis the width
 *
 * Tensor "embed0" [vocab, width]. Ids are 0..vocab - 1, one a row of the value. Haiku starts the table with
 * TN(1). Its gradient is dense: rows that no id names get 0. */
#ifndef TASK_EMBED_H
#define TASK_EMBED_H

#include "layers/init.h"

int task_add_embedding(task_model *m, size_t ids, int rank, const int64_t *dim, int vocab, task_init init);

#endif
