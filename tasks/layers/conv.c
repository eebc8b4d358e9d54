/* SPDX-License-Identifier: Apache-2.0
 *
 * conv_net.c - see conv.h. */
#include "layers/conv.h"

#include <string.h>

#include "layers/ending.h"
#include "math/gemm.h"

/* Bytes of patches at a time: with their products a share of the second-level cache. */
#define PATCH_BYTES (1 << 18)

/* The products of some output rows. */
typedef struct chunk {
    int rows;
    task_gemm forward, weight_grad, input_grad, input_grad_added;
} chunk;

typedef struct conv {
    task_layer base;
    task_window window;
    int in, out, patch; /* channels; size * size * in */
    int same_as_image;  /* the patches are the pixels */
    int n_rows;         /* output rows of all images */
    chunk whole, rest;  /* n_rows = k * whole.rows + rest.rows */
    task_init weights;
    task_ending ending;
    size_t patches, transposed; /* work; W' */
} conv;

enum { W, B };

static void conv_init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    const conv *c = (const conv *)l;
    int size = c->window.size;
    task_init_fill(&c->weights, tau, 4, (int64_t[]){size, size, c->in, c->out}, r, params + l->tensor[W]);
    if (c->ending.has_bias) memset(params + l->tensor[B], 0, (size_t)c->out * sizeof *params);
}

static int conv_fuse(task_model *m, task_layer *l, const task_layer *next) {
    return task_ending_fuse(m, &((conv *)l)->ending, next);
}

static const chunk *conv_chunk_at_row(const conv *c, int row) {
    return row + c->whole.rows <= c->n_rows ? &c->whole : &c->rest;
}

/* Where output row `row` begins in an array with `channels` values for each of its pixels. */
static size_t offset_of_conv_row(const conv *c, int row, int channels) {
    return (size_t)row * (size_t)c->window.out_cols * (size_t)channels;
}

/* Of the rows of a chunk [pixels, patch]. */
static const real *patches_of_chunk(const conv *c, const task_run *run, int row, const chunk *k) {
    const real *x = task_layer_input(run, &c->base, 0);
    if (c->same_as_image) return x + offset_of_conv_row(c, row, c->in);
    real *patches = task_work_at(run->work, c->patches);
    task_window_gather(&c->window, x, row, k->rows, patches);
    return patches;
}

static void conv_forward(const task_layer *l, const task_run *run) {
    const conv *c = (const conv *)l;
    real *z = task_ending_z(&c->ending, run, l), *y = task_layer_output(run, l);
    const chunk *k;
    for (int row = 0; row < c->n_rows; row += k->rows) {
        k = conv_chunk_at_row(c, row);
        task_gemm_run(&k->forward, patches_of_chunk(c, run, row, k), task_layer_tensor_at(run, l, W),
                      z + offset_of_conv_row(c, row, c->out));
        task_ending_forward(&c->ending, run, row * c->window.out_cols, k->rows * c->window.out_cols,
                            task_layer_tensor_at(run, l, B), z, y);
    }
}

/* dx of the pixels that a chunk of output rows saw: dz W', where windows overlap added up. */
static void backward_conv_input(const conv *c, const task_run *run, int row, const chunk *k, const real *dz, real *dx) {
    const real *transposed = task_work_at(run->work, c->transposed);
    real *patches = task_work_at(run->work, c->patches);
    if (c->same_as_image) {
        task_gemm_run(c->base.adds[0] ? &k->input_grad_added : &k->input_grad, dz, transposed,
                      dx + offset_of_conv_row(c, row, c->in));
        return;
    }
    task_gemm_run(&k->input_grad, dz, transposed, patches);
    task_window_scatter(&c->window, patches, row, k->rows, dx);
}

static void conv_backward(const task_layer *l, const task_run *run) {
    const conv *c = (const conv *)l;
    const task_window *w = &c->window;
    real *dz = task_layer_output_grad(run, l), *dx = task_layer_input_grad(run, l, 0),
         *dw = task_layer_tensor_grad(run, l, W);
    task_ending_backward(&c->ending, run, task_ending_z(&c->ending, run, l), task_layer_output(run, l), dz,
                         task_layer_tensor_grad(run, l, B));
    memset(dw, 0, (size_t)c->patch * (size_t)c->out * sizeof *dw);
    if (dx)
        task_transpose_matrix(c->patch, c->out, task_layer_tensor_at(run, l, W),
                              task_work_at(run->work, c->transposed));
    if (dx && !l->adds[0] && !c->same_as_image)
        memset(dx, 0, (size_t)w->batch * (size_t)w->rows * (size_t)w->cols * (size_t)c->in * sizeof *dx);
    const chunk *k;
    for (int row = 0; row < c->n_rows; row += k->rows) {
        k = conv_chunk_at_row(c, row);
        const real *dz_here = dz + offset_of_conv_row(c, row, c->out);
        task_gemm_run(&k->weight_grad, patches_of_chunk(c, run, row, k), dz_here, dw);
        if (dx) backward_conv_input(c, run, row, k, dz_here, dx);
    }
}

static const task_layer_kind kind = {
    .name = "conv", .init = conv_init, .fuse = conv_fuse, .forward = conv_forward, .backward = conv_backward};

static chunk plan_conv_chunk(const conv *c, int rows, int has_grad) {
    int pixels = rows * c->window.out_cols;
    chunk k = {.rows = rows};
    if (rows == 0) return k;
    k.forward = task_gemm_plan(TASK_GEMM_NN, pixels, c->out, c->patch);
    k.weight_grad = task_gemm_plan_added(TASK_GEMM_TN, c->patch, c->out, pixels);
    if (has_grad) k.input_grad = task_gemm_plan(TASK_GEMM_NN, pixels, c->patch, c->out);
    if (has_grad && c->same_as_image) k.input_grad_added = task_gemm_plan_added(TASK_GEMM_NN, pixels, c->patch, c->out);
    return k;
}

static void plan_conv_products(task_model *m, conv *c) {
    const task_window *w = &c->window;
    size_t line = (size_t)w->out_cols * (size_t)c->patch * sizeof(real), fit = PATCH_BYTES / line;
    c->same_as_image = w->size == 1 && w->stride == 1;
    c->n_rows = w->batch * w->out_rows;
    int rows = fit < 1 ? 1 : fit < (size_t)c->n_rows ? (int)fit : c->n_rows;
    int has_grad = task_value_has_grad(m, c->base.in[0]);
    c->whole = plan_conv_chunk(c, rows, has_grad);
    c->rest = plan_conv_chunk(c, c->n_rows % rows, has_grad);
    if (!c->same_as_image) c->patches = task_add_layer_work(m, (size_t)rows * line);
    if (has_grad) c->transposed = task_add_layer_work(m, (size_t)c->patch * (size_t)c->out * sizeof(real));
    c->base.flops = (has_grad ? 6.0 : 4.0) * c->n_rows * w->out_cols * c->patch * c->out;
}

static int add_conv_layer(task_model *m, int x, task_conv_shape s, task_init weights, int has_bias) {
    task_window w;
    if (!task_window_make(m, x, s.size, s.stride, s.padding, &w)) return -1;
    conv *c = task_add_layer(m, &kind, sizeof *c, 1, &x, 4, (int64_t[]){w.batch, w.out_rows, w.out_cols, s.channels});
    if (!c) return -1;
    c->window = w;
    c->in = w.channels, c->out = s.channels, c->patch = s.size * s.size * w.channels;
    c->weights = weights;
    c->ending = task_ending_make(w.batch * w.out_rows * w.out_cols, c->out, has_bias);
    c->base.fan_in = c->patch;
    task_add_layer_tensor(m, &c->base, "conv", 4, (int64_t[]){s.size, s.size, c->in, c->out});
    if (has_bias) task_add_layer_tensor(m, &c->base, "conv_b", 1, (int64_t[]){c->out});
    plan_conv_products(m, c);
    return c->base.out;
}

int task_add_conv(task_model *m, int x, task_conv_shape shape, task_init init_weights) {
    return add_conv_layer(m, x, shape, init_weights, 1);
}

int task_add_conv_without_bias(task_model *m, int x, task_conv_shape shape, task_init init_weights) {
    return add_conv_layer(m, x, shape, init_weights, 0);
}
