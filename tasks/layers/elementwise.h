/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise.h - between matrix products: bias, activation, softmax, and their gradients; before
 * them, the pixels of a batch.
 *
 * elementwise.c is compiled once per instruction set; each build gives one table of functions. A
 * layer asks for the best table when it is planned. Arrays are row-major and do not overlap. */
#ifndef TASK_ELEMENTWISE_H
#define TASK_ELEMENTWISE_H

#include "task.h"

#define TASK_LINEAR (-1) /* no activation; the others are task_activation */

typedef struct task_elementwise {
    const char *name; /* "portable", "avx2", "avx512" */

    /* y[rows, cols] <- activation(y + bias[cols]). For gelu, reads z and leaves the sum there. */
    void (*activate)(int activation, int rows, int cols, const real *bias, real *z, real *y);

    /* dy <- dy * activation'(z), by y alone except for gelu; bias_grad[cols] <- its sum of rows. */
    void (*activate_grad)(int activation, int rows, int cols, const real *z, const real *y,
                          real *dy, real *bias_grad);

    /* Mean over rows of -log softmax(z)[label]; dz (may be NULL) <- its gradient.
     * scratch: (classes + 2) * rows. */
    real (*cross_entropy)(int rows, int classes, const real *z, const int32_t *labels,
                          real *scratch, real *dz);

    /* out[batch, n] <- rows of codes[., n] divided by most. Where most is 255 times a power of two
     * up to 256, correctly rounded for codes up to most. */
    void (*gather)(int batch, const int32_t *rows, size_t n, const uint16_t *codes, real most,
                   real *out);
} task_elementwise;

const task_elementwise *task_elementwise_best(void);
const task_elementwise *task_elementwise_find(const char *name); /* NULL: not here */

#endif
