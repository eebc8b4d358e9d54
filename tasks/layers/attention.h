/* SPDX-License-Identifier: Apache-2.0
 *
 * attention.h - multi-head attention of a sequence to itself.
 *
 *     task_attention_shape a = {.heads = 4, .head_size = 32, .causal = 1, .pad_ids = &ids};
 *     x = task_add_attention(m, x, &a);                   x[batch, time, in] -> [batch, time, in]
 *     y = task_attention_core(m, q, k, v, &a);        between the dense layers: [batch, time, heads head_size]
 *
 * Four dense layers (query, key, value, output) with biases, whose weights are initialised by `init`; each head takes
 * softmax(q k' / sqrt(head_size)) v. The bias of the keys, tensor "key_bias0" of the core, moves all logits of a
 * query alike: its gradient is 0 but for rounding.
 * Masks    causal: no position sees a later one. pad_ids: no position sees a key whose id, one of [batch, time],
 *          is 0. What is masked has logit -1e30.
 * Dropout  of the probabilities of attention: each is 0 with chance `dropout`, else divided by 1 - dropout; by
 *          a hash of its position and a seed drawn with the batch, so that nothing is stored.
 * Backward computes the probabilities of a head anew: memory does not grow with the square of time. */
#ifndef TASK_ATTENTION_H
#define TASK_ATTENTION_H

#include "layers/init.h"

typedef struct task_attention_shape {
    int heads, head_size, causal;
    const size_t *pad_ids; /* of task_add_input_ids; NULL: every key is seen */
    double dropout;
    task_init init;
} task_attention_shape;

int task_add_attention(task_model *m, int x, const task_attention_shape *a);
int task_attention_core(task_model *m, int q, int k, int v, const task_attention_shape *a);

#endif
