/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor.c - descriptions of tensors. */
#include <stdio.h>

#include "lopt.h"

lopt_tensor lopt_tensor_make(const char *name, int rank, const int64_t *dim) {
    lopt_tensor t = {.rank = rank, .lr_scale = 1, .weight_decay = -1};
    snprintf(t.name, sizeof t.name, "%s", name);
    for (int i = 0; i < rank && i < LOPT_MAX_RANK; i++) t.dim[i] = dim[i];
    return t;
}

int64_t lopt_tensor_size(const lopt_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}

float lopt_mup_lr_scale(int hidden, int64_t fan_in, int64_t base_fan_in, float hidden_lr_mult) {
    return hidden ? (float)(hidden_lr_mult * (double)base_fan_in / (double)fan_in) : 1;
}
