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

static void init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    const dense *d = (const dense *)l;
    task_init_fill(&d->weights, tau, 2, (int64_t[]){d->in, d->out}, r, params + l->tensor[W]);
    if (d->ending.has_bias) task_init_fill(&d->bias, tau, 1, (int64_t[]){d->out}, r, params + l->tensor[B]);
}

static int fuse(task_model *m, task_layer *l, const task_layer *next) {
    return task_ending_fuse(m, &((dense *)l)->ending, next);
}

static void forward(const task_layer *l, const task_run *run) {
    const dense *d = (const dense *)l;
    real *z = task_ending_z(&d->ending, run, l);
    task_gemm_run(&d->forward, task_in(run, l, 0), task_tensor(run, l, W), z);
    task_ending_forward(&d->ending, run, 0, d->rows, task_tensor(run, l, B), z, task_out(run, l));
}

/* dz = dy * activation'(z);  dW = x' dz,  db = sum of dz over the rows,  dx = dz W'. */
static void backward(const task_layer *l, const task_run *run) {
    const dense *d = (const dense *)l;
    real *dz = task_out_grad(run, l), *dx = task_in_grad(run, l, 0);
    task_ending_backward(&d->ending, run, task_ending_z(&d->ending, run, l), task_out(run, l), dz,
                         task_tensor_grad(run, l, B));
    task_gemm_run(&d->weight_grad, task_in(run, l, 0), dz, task_tensor_grad(run, l, W));
    if (!dx) return;
    real *transposed = task_at(run->work, d->transposed); /* libxsmm has no kernel for dz W' */
    task_transpose(d->in, d->out, task_tensor(run, l, W), transposed);
    task_gemm_run(l->adds[0] ? &d->input_grad_added : &d->input_grad, dz, transposed, dx);
}

static const task_layer_kind kind = {
    .name = "dense", .init = init, .fuse = fuse, .forward = forward, .backward = backward};

static void plan(task_model *m, dense *d) {
    d->forward = task_gemm_plan(TASK_GEMM_NN, d->rows, d->out, d->in);
    d->weight_grad = task_gemm_plan(TASK_GEMM_TN, d->in, d->out, d->rows);
    d->base.flops = task_gemm_flops(&d->forward) + task_gemm_flops(&d->weight_grad);
    if (!task_value_has_grad(m, d->base.in[0])) return;
    d->transposed = task_layer_work(m, (size_t)d->in * (size_t)d->out * sizeof(real));
    d->input_grad = task_gemm_plan(TASK_GEMM_NN, d->rows, d->in, d->out);
    d->input_grad_added = task_gemm_plan_added(TASK_GEMM_NN, d->rows, d->in, d->out);
    d->base.flops += task_gemm_flops(&d->input_grad);
}

static int add(task_model *m, int x, int width, task_init weights, int has_bias, task_init bias) {
    if (x < 0) return -1;
    task_shape s = *task_value_shape(m, x);
    int64_t dim[4] = {s.dim[0], s.dim[1], s.dim[2], s.dim[3]}, in = s.cols;
    if (s.rank == 0) return task_model_fail(m, "a dense layer after the loss");
    dim[s.rank - 1] = width;
    dense *d = task_layer_add(m, &kind, sizeof *d, 1, &x, s.rank, dim);
    if (!d) return -1;
    d->rows = (int)s.rows, d->in = (int)in, d->out = width;
    d->weights = weights, d->bias = bias;
    d->ending = task_ending_make(d->rows, width, has_bias);
    d->base.fan_in = in;
    task_layer_tensor(m, &d->base, "w", 2, (int64_t[]){in, width});
    if (has_bias) task_layer_tensor(m, &d->base, "b", 1, (int64_t[]){width});
    plan(m, d);
    return d->base.out;
}

int task_dense(task_model *m, int x, int width, task_init weights) {
    return add(m, x, width, weights, 1, (task_init){TASK_INIT_CONSTANT, 0, 0});
}

int task_dense_with(task_model *m, int x, int width, task_init weights, task_init bias) {
    return add(m, x, width, weights, 1, bias);
}

int task_dense_without_bias(task_model *m, int x, int width, task_init weights) {
    return add(m, x, width, weights, 0, (task_init){0});
}
