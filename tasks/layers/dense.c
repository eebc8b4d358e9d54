/* SPDX-License-Identifier: Apache-2.0
 *
 * dense.c - see dense.h. */
#include "layers/dense.h"

#include <math.h>
#include <stdio.h>

void task_dense_plan(task_dense *d, task *t, int index, int batch, int in, int out,
                     int activation) {
    *d = (task_dense){.batch = batch, .in = in, .out = out, .activation = activation};
    char name[16];
    snprintf(name, sizeof name, "w%d", index);
    d->weights = task_add_tensor(t, name, 2, (int64_t[]){in, out});
    snprintf(name, sizeof name, "b%d", index);
    d->bias = task_add_tensor(t, name, 1, (int64_t[]){out});

    size_t y_bytes = (size_t)batch * (size_t)out * sizeof(real);
    d->y = task_add_work(t, y_bytes);
    d->z = activation == TASK_GELU ? task_add_work(t, y_bytes) : d->y;
    d->dy = task_add_work(t, y_bytes);
    d->forward = task_gemm_plan(TASK_GEMM_NN, batch, out, in);
    d->weight_grad = task_gemm_plan(TASK_GEMM_TN, in, out, batch);
    t->flops_per_step += task_gemm_flops(&d->forward) + task_gemm_flops(&d->weight_grad);
    if (index > 0) { /* nobody asks for the gradient with respect to the data */
        d->transposed = task_add_work(t, (size_t)in * (size_t)out * sizeof(real));
        d->input_grad = task_gemm_plan(TASK_GEMM_NN, batch, in, out);
        t->flops_per_step += task_gemm_flops(&d->input_grad);
    }
    d->elementwise = task_elementwise_best();
}

void task_dense_init(const task_dense *d, random_stream *r, real *params) {
    enum { CHUNK = 256 }; /* so that both precisions draw the same numbers */
    float chunk[CHUNK];
    size_t n = (size_t)d->in * (size_t)d->out;
    float scale = 1 / sqrtf((float)d->in);
    for (size_t i = 0; i < n; i++) {
        size_t left = n - i;
        if (i % CHUNK == 0) random_truncated_normals(r, scale, left < CHUNK ? left : CHUNK, chunk);
        params[d->weights + i] = chunk[i % CHUNK];
    }
    for (int j = 0; j < d->out; j++) params[d->bias + (size_t)j] = 0;
}

const real *task_dense_forward(const task_dense *d, const real *params, const real *x, void *work) {
    real *z = task_at(work, d->z), *y = task_at(work, d->y);
    task_gemm_run(&d->forward, x, params + d->weights, z);
    d->elementwise->activate(d->activation, d->batch, d->out, params + d->bias, z, y);
    return y;
}

/* out[cols, rows] <- in[rows, cols], by square blocks that stay in cache. */
static void transpose(int rows, int cols, const real *restrict in, real *restrict out) {
    enum { BLOCK = 16 };
    for (int i0 = 0; i0 < rows; i0 += BLOCK) {
        int i1 = i0 + BLOCK < rows ? i0 + BLOCK : rows;
        for (int j = 0; j < cols; j++) {
            real *to = out + (size_t)j * (size_t)rows;
            for (int i = i0; i < i1; i++) to[i] = in[(size_t)i * (size_t)cols + (size_t)j];
        }
    }
}

/* dz = dy * activation'(z);  dW = x' dz,  db = sum of dz over the batch,  dx = dz W'. */
void task_dense_backward(const task_dense *d, const real *params, const real *x, real *dx,
                         void *work, real *grads) {
    real *dz = task_at(work, d->dy);
    d->elementwise->activate_grad(d->activation, d->batch, d->out, task_at(work, d->z),
                                  task_at(work, d->y), dz, grads + d->bias);
    task_gemm_run(&d->weight_grad, x, dz, grads + d->weights);
    if (!dx) return;
    real *transposed = task_at(work, d->transposed); /* libxsmm has no kernel for dz W' */
    transpose(d->in, d->out, params + d->weights, transposed);
    task_gemm_run(&d->input_grad, dz, transposed, dx);
}
