/* SPDX-License-Identifier: Apache-2.0
 *
 * dense.h - a fully connected layer, y = activation(x W + b), planned once.
 *
 *     task_dense_plan(&d, t, index, batch, in, out, activation);   tensors "w0", "b0"; scratch
 *     task_dense_init(&d, rng, params);                            W ~ TN(1/sqrt(in)), b = 0
 *     y = task_dense_forward(&d, params, x, work);
 *     ... the gradient with respect to y is put into task_dense_dy(&d, work) ...
 *     task_dense_backward(&d, params, x, dx, work, grads);         dx NULL: the first layer
 *
 * Shapes   x[batch, in], y and dy[batch, out], dx[batch, in]; W is (in, out). TN(s):
 *          standard normal truncated to [-2, 2], times s (Haiku's default). */
#ifndef TASK_DENSE_H
#define TASK_DENSE_H

#include "internal.h"
#include "layers/elementwise.h"
#include "layers/gemm.h"

typedef struct task_dense {
    int batch, in, out, activation; /* activation: task_activation or TASK_LINEAR */
    size_t weights, bias;           /* offsets in params, in reals */
    size_t z, y, dy, transposed;    /* offsets in work; z differs from y for gelu only */
    task_gemm forward, weight_grad, input_grad;
    const task_elementwise *elementwise;
} task_dense;

void task_dense_plan(task_dense *d, task *t, int index, int batch, int in, int out, int activation);
void task_dense_init(const task_dense *d, random_stream *r, real *params);
const real *task_dense_forward(const task_dense *d, const real *params, const real *x, void *work);
void task_dense_backward(const task_dense *d, const real *params, const real *x, real *dx,
                         void *work, real *grads);

static inline const real *task_dense_y(const task_dense *d, void *work) {
    return task_at(work, d->y);
}

static inline real *task_dense_dy(const task_dense *d, void *work) {
    return task_at(work, d->dy);
}

#endif
