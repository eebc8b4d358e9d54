/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise.h - between matrix products: bias, activation, softmax, and their gradients; before
 * them, the pixels of a batch.
 *
 * elementwise.c is compiled once per instruction set; each build gives one table of functions. A
 * layer asks for the best table when it is planned. Arrays are row-major and do not overlap. */
#ifndef TASK_ELEMENTWISE_H
#define TASK_ELEMENTWISE_H

#include "base/spec.h"

#define TASK_LINEAR (-1) /* no activation; the others are task_activation_kind */

/* Whether the gradient needs the argument; else the value is enough. */
static inline int task_activation_keeps_input(int activation) {
    return activation == TASK_GELU || activation == TASK_SILU || activation == TASK_COS || activation == TASK_SIN ||
           activation == TASK_FOLDED_RELU;
}

/* Rows of a block of cross_entropy: its exponentials stay in cache. */
static inline int task_cross_entropy_block(int classes) {
    return classes <= 1024 ? 64 : 16;
}

static inline size_t task_cross_entropy_scratch(int rows, int classes) {
    int block = task_cross_entropy_block(classes);
    return (size_t)classes * (size_t)(rows < block ? rows : block) + 2 * (size_t)rows;
}

typedef struct task_elementwise {
    const char *name; /* "portable", "avx2", "avx512" */

    /* y[n] <- activation(x); dx[n] <- dy activation'(x), or dx += it. Here x is there in any case. */
    void (*apply)(int activation, size_t n, const real *x, real *y);
    void (*apply_grad)(int activation, size_t n, const real *x, const real *y, const real *dy, int added, real *dx);

    /* y[rows, cols] <- activation(y + bias[cols]). Where task_activation_keeps_input, reads z and leaves
     * the sum there. */
    void (*activate)(int activation, int rows, int cols, const real *bias, real *z, real *y);

    /* dy <- dy * activation'(z), by y alone unless task_activation_keeps_input; bias_grad[cols] <- its sum of
     * rows. */
    void (*activate_grad)(int activation, int rows, int cols, const real *z, const real *y, real *dy, real *bias_grad);

    /* Mean over the rows with label >= 0 of -log softmax(z)[label]; dz (may be NULL) <- its gradient.
     * scratch: task_cross_entropy_scratch reals. */
    real (*cross_entropy)(int rows, int classes, const real *z, const int32_t *labels, real *scratch, real *dz);

    /* Cells of n numbers (recurrent.h), `rows` of a batch. lstm: z[rows, 4 n], without bias, becomes its gates
     * i, g, f, o; lstm_grad: and these their gradients, dc that of c_before. gru_gates: zr[rows, 2 n] becomes the
     * gates, rh the second one times h_before; gru: a[rows, n] its tanh. gru_grad: a and the first gate become their
     * gradients; gru_gates_grad: the second; both add to dh_before. */
    void (*lstm)(int rows, int n, const real *bias, real *z, const real *c_before, real *c, real *h);
    void (*lstm_grad)(int rows, int n, real *z, const real *c_before, const real *c, const real *dh, real *dc);
    void (*gru_gates)(int rows, int n, const real *bias, real *zr, const real *h_before, real *rh);
    void (*gru)(int rows, int n, const real *bias, const real *zr, const real *h_before, real *a, real *h);
    void (*gru_grad)(int rows, int n, real *zr, real *a, const real *h_before, const real *dh, real *dh_before);
    void (*gru_gates_grad)(int rows, int n, real *zr, const real *h_before, const real *drh, real *dh_before);

    /* Each column of p[rows, cols] becomes its softmax; dp, the gradient of that, the gradient of what it was.
     * scratch[2 cols]. */
    void (*softmax_columns)(int rows, int cols, real *p, real *scratch);
    void (*softmax_columns_grad)(int rows, int cols, const real *p, real *dp, real *scratch);

    /* out[batch, n] <- rows of codes[., n] divided by max_code. Where max_code is 255 times a power of two
     * up to 256, correctly rounded for codes up to max_code. */
    void (*gather)(int batch, const int32_t *rows, size_t n, const uint16_t *codes, real max_code, real *out);
} task_elementwise;

const task_elementwise *task_elementwise_best(void);
const task_elementwise *task_elementwise_find(const char *name); /* NULL: not here */

#endif
