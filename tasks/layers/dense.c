/* SPDX-License-Identifier: Apache-2.0
 *
 * dense.c - see dense.h. */
#include "layers/dense.h"

#include "layers/ending.h"
#include "math/gemm.h"

typedef struct dense {
    task_layer base;
    int rows, in, out;
    task_init weights, bias;
    task_ending ending;
    size_t transposed; /* W' */
    task_gemm forward, weight_grad, input_grad, input_grad_added;
} dense;

enum { W, B };

static void dense_init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    const dense *d = (const dense *)l;
    task_init_fill(&d->weights, tau, 2, (int64_t[]){d->in, d->out}, r, params + l->tensor[W]);
    if (d->ending.has_bias) task_init_fill(&d->bias, tau, 1, (int64_t[]){d->out}, r, params + l->tensor[B]);
}

static int dense_fuse(task_model *m, task_layer *l, const task_layer *next) {
    return task_ending_fuse(m, &((dense *)l)->ending, next);
}

static void dense_forward(const task_layer *l, const task_run *run) {
    const dense *d = (const dense *)l;
    real *z = task_ending_z(&d->ending, run, l);
    task_gemm_run(&d->forward, task_layer_input(run, l, 0), task_layer_tensor_at(run, l, W), z);
    task_ending_forward(&d->ending, run, 0, d->rows, task_layer_tensor_at(run, l, B), z, task_layer_output(run, l));
}

/* dz = dy * activation'(z);  dW = x' dz,  db = sum of dz over the rows,  dx = dz W'. */
static void dense_backward(const task_layer *l, const task_run *run) {
    const dense *d = (const dense *)l;
    real *dz = task_layer_output_grad(run, l), *dx = task_layer_input_grad(run, l, 0);
    task_ending_backward(&d->ending, run, task_ending_z(&d->ending, run, l), task_layer_output(run, l), dz,
                         task_layer_tensor_grad(run, l, B));
    task_gemm_run(&d->weight_grad, task_layer_input(run, l, 0), dz, task_layer_tensor_grad(run, l, W));
    if (!dx) return;
    real *transposed = task_work_at(run->work, d->transposed); /* libxsmm has no kernel for dz W' */
    task_transpose_matrix(d->in, d->out, task_layer_tensor_at(run, l, W), transposed);
    task_gemm_run(l->adds[0] ? &d->input_grad_added : &d->input_grad, dz, transposed, dx);
}

static const task_layer_kind kind = {
    .name = "dense", .init = dense_init, .fuse = dense_fuse, .forward = dense_forward, .backward = dense_backward};

static void plan_dense_products(task_model *m, dense *d) {
    d->forward = task_gemm_plan(TASK_GEMM_NN, d->rows, d->out, d->in);
    d->weight_grad = task_gemm_plan(TASK_GEMM_TN, d->in, d->out, d->rows);
    d->base.flops = task_gemm_flops(&d->forward) + task_gemm_flops(&d->weight_grad);
    if (!task_value_has_grad(m, d->base.in[0])) return;
    d->transposed = task_add_layer_work(m, (size_t)d->in * (size_t)d->out * sizeof(real));
    d->input_grad = task_gemm_plan(TASK_GEMM_NN, d->rows, d->in, d->out);
    d->input_grad_added = task_gemm_plan_added(TASK_GEMM_NN, d->rows, d->in, d->out);
    d->base.flops += task_gemm_flops(&d->input_grad);
}

static int add_dense_layer(task_model *m, int x, int width, task_init weights, int has_bias, task_init bias) {
    if (x < 0) return -1;
    task_shape s = *task_value_shape(m, x);
    int64_t dim[4] = {s.dim[0], s.dim[1], s.dim[2], s.dim[3]}, in = s.cols;
    if (s.rank == 0) return task_model_fail(m, "a dense layer after the loss");
    dim[s.rank - 1] = width;
    dense *d = task_add_layer(m, &kind, sizeof *d, 1, &x, s.rank, dim);
    if (!d) return -1;
    d->rows = (int)s.rows, d->in = (int)in, d->out = width;
    d->weights = weights, d->bias = bias;
    d->ending = task_ending_make(d->rows, width, has_bias);
    d->base.fan_in = in;
    task_add_layer_tensor(m, &d->base, "w", 2, (int64_t[]){in, width});
    if (has_bias) task_add_layer_tensor(m, &d->base, "b", 1, (int64_t[]){width});
    plan_dense_products(m, d);
    return d->base.out;
}

int task_add_dense(task_model *m, int x, int width, task_init weights) {
    return add_dense_layer(m, x, width, weights, 1, (task_init){TASK_INIT_CONSTANT, 0, 0});
}

int task_add_dense_with(task_model *m, int x, int width, task_init weights, task_init bias) {
    return add_dense_layer(m, x, width, weights, 1, bias);
}

int task_dense_without_bias(task_model *m, int x, int width, task_init weights) {
    return add_dense_layer(m, x, width, weights, 0, (task_init){0});
}
