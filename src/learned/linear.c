/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.c - dense layers; the products are the kernels'. */
#include "learned/linear.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"

static const char *name_linear_block(const char *layer, char letter, char name[48]) {
    snprintf(name, 48, "%s/%c", layer, letter);
    return name;
}

void lopt__linear_layout(lopt_optimizer *opt, const char *name, int in, int out) {
    char block[48];
    lopt__add_vector_block(opt, name_linear_block(name, 'b', block), out, LOPT__INIT_ZERO, 0);
    lopt__add_matrix_block(opt, name_linear_block(name, 'w', block), in, out, LOPT__INIT_TRUNCATED_NORMAL,
                           1.0f / sqrtf((float)in));
}

lopt__linear lopt__linear_from_theta(const lopt_optimizer *opt, const char *name) {
    char block[48];
    const lopt_block *w = lopt_block_find(opt, name_linear_block(name, 'w', block));
    const lopt_block *b = lopt_block_find(opt, name_linear_block(name, 'b', block));
    return (lopt__linear){(int)w->dim[0], (int)w->dim[1], opt->theta + w->offset, opt->theta + b->offset};
}

void lopt__linear_forward(const lopt__linear *d, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i++) memcpy(y + i * d->out, d->bias, (size_t)d->out * sizeof(float));
    lopt__kernels_current()->multiply(n, d->out, d->in, x, d->in, d->weight, d->out, y, d->out);
}
