/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.c - see norm.h. With h = (x - mean) / std over n values and g = scale dy,
 * dx = (g - mean(g) - h mean(g h)) / std. */
#include "layers/norm.h"

#include <math.h>
#include <string.h>

enum { SCALE, OFFSET, LANES = 16 };

typedef struct norm {
    task_layer base;
    size_t rows, cols;
    real epsilon, start;
    size_t normal;  /* work: h[rows, cols] */
    size_t inverse; /* work: 1 / std, of each row or column */
    size_t mean;    /* work of the batch norm: of each column */
} norm;

static void norm_init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    const norm *d = (const norm *)l;
    (void)tau, (void)r;
    for (size_t j = 0; j < d->cols; j++) {
        params[l->tensor[SCALE] + j] = d->start;
        params[l->tensor[OFFSET] + j] = 0;
    }
}

static void scale_and_offset(const norm *d, const real *restrict h, const task_run *run) {
    const real *restrict scale = task_layer_tensor_at(run, &d->base, SCALE), *restrict offset = task_layer_tensor_at(
                                                                                 run, &d->base, OFFSET);
    real *restrict y = task_layer_output(run, &d->base);
    for (size_t i = 0; i < d->rows; i++, h += d->cols, y += d->cols)
        for (size_t j = 0; j < d->cols; j++) y[j] = h[j] * scale[j] + offset[j];
}

/* Gradients of scale and offset. */
static void set_norm_grads(const norm *d, const real *restrict h, const task_run *run) {
    const real *restrict dy = task_layer_output_grad(run, &d->base);
    real *restrict dscale = task_layer_tensor_grad(run, &d->base, SCALE), *restrict doffset = task_layer_tensor_grad(
                                                                              run, &d->base, OFFSET);
    memset(dscale, 0, d->cols * sizeof *dscale);
    memset(doffset, 0, d->cols * sizeof *doffset);
    for (size_t i = 0; i < d->rows; i++, h += d->cols, dy += d->cols) {
        for (size_t j = 0; j < d->cols; j++) {
            dscale[j] += dy[j] * h[j];
            doffset[j] += dy[j];
        }
    }
}

/* ---- over the last axis ------------------------------------------------------------------------ */

/* The sum of a product in LANES partial sums, which vectorise. */
static real dot_of_rows(size_t n, const real *restrict a, const real *restrict b) {
    real part[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) part[k] += a[i + k] * b[i + k];
    for (size_t k = 0; k < LANES; k++) sum += part[k];
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static real sum_of_row(size_t n, const real *restrict a) {
    real part[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) part[k] += a[i + k];
    for (size_t k = 0; k < LANES; k++) sum += part[k];
    for (; i < n; i++) sum += a[i];
    return sum;
}

static void layer_norm_forward(const task_layer *l, const task_run *run) {
    const norm *d = (const norm *)l;
    const real *x = task_layer_input(run, l, 0);
    real *h = task_work_at(run->work, d->normal), *inverse = task_work_at(run->work, d->inverse);
    for (size_t i = 0; i < d->rows; i++, x += d->cols, h += d->cols) {
        real mean = sum_of_row(d->cols, x) / (real)d->cols;
        for (size_t j = 0; j < d->cols; j++) h[j] = x[j] - mean;
        inverse[i] = 1 / (real)sqrt((double)(dot_of_rows(d->cols, h, h) / (real)d->cols + d->epsilon));
        for (size_t j = 0; j < d->cols; j++) h[j] *= inverse[i];
    }
    scale_and_offset(d, task_work_at(run->work, d->normal), run);
}

static void layer_norm_backward(const task_layer *l, const task_run *run) {
    const norm *d = (const norm *)l;
    const real *h = task_work_at(run->work, d->normal), *inverse = task_work_at(run->work, d->inverse);
    const real *scale = task_layer_tensor_at(run, l, SCALE);
    real *g = task_layer_output_grad(run, l), *dx = task_layer_input_grad(run, l, 0);
    set_norm_grads(d, h, run);
    if (!dx) return;
    for (size_t i = 0; i < d->rows; i++, h += d->cols, g += d->cols, dx += d->cols) {
        for (size_t j = 0; j < d->cols; j++) g[j] *= scale[j];
        real mean = sum_of_row(d->cols, g) / (real)d->cols, along = dot_of_rows(d->cols, g, h) / (real)d->cols;
        for (size_t j = 0; j < d->cols; j++)
            dx[j] = (l->adds[0] ? dx[j] : 0) + (g[j] - mean - h[j] * along) * inverse[i];
    }
}

static const task_layer_kind layer_kind = {
    .name = "layer norm", .init = norm_init, .forward = layer_norm_forward, .backward = layer_norm_backward};

/* ---- over the rows ----------------------------------------------------------------------------- */

static void batch_norm_forward(const task_layer *l, const task_run *run) {
    const norm *d = (const norm *)l;
    size_t cols = d->cols;
    const real *restrict x = task_layer_input(run, l, 0);
    real *restrict h = task_work_at(run->work, d->normal), *restrict inverse = task_work_at(run->work, d->inverse);
    real *restrict mean = task_work_at(run->work, d->mean);
    memset(mean, 0, cols * sizeof *mean);
    memset(inverse, 0, cols * sizeof *inverse);
    for (size_t i = 0; i < d->rows; i++)
        for (size_t j = 0; j < cols; j++) mean[j] += x[i * cols + j];
    for (size_t j = 0; j < cols; j++) mean[j] /= (real)d->rows;
    for (size_t i = 0; i < d->rows; i++) {
        for (size_t j = 0; j < cols; j++) {
            h[i * cols + j] = x[i * cols + j] - mean[j];
            inverse[j] += h[i * cols + j] * h[i * cols + j];
        }
    }
    for (size_t j = 0; j < cols; j++) inverse[j] = 1 / (real)sqrt((double)(inverse[j] / (real)d->rows + d->epsilon));
    for (size_t i = 0; i < d->rows; i++)
        for (size_t j = 0; j < cols; j++) h[i * cols + j] *= inverse[j];
    scale_and_offset(d, h, run);
}

/* The means over the rows are the gradients of offset and scale over n, times scale. */
static void batch_norm_backward(const task_layer *l, const task_run *run) {
    const norm *d = (const norm *)l;
    const real *restrict h = task_work_at(run->work, d->normal), *restrict inverse =
                                                                     task_work_at(run->work, d->inverse);
    const real *restrict dy = task_layer_output_grad(run, l), *restrict scale = task_layer_tensor_at(run, l, SCALE);
    const real *restrict dscale = task_layer_tensor_grad(run, l, SCALE), *restrict doffset =
                                                                             task_layer_tensor_grad(run, l, OFFSET);
    real *restrict dx = task_layer_input_grad(run, l, 0), n = (real)d->rows;
    set_norm_grads(d, h, run);
    if (!dx) return;
    for (size_t i = 0; i < d->rows; i++, h += d->cols, dy += d->cols, dx += d->cols)
        for (size_t j = 0; j < d->cols; j++)
            dx[j] =
                (l->adds[0] ? dx[j] : 0) + (dy[j] - doffset[j] / n - h[j] * (dscale[j] / n)) * scale[j] * inverse[j];
}

static const task_layer_kind batch_kind = {
    .name = "batch norm", .init = norm_init, .forward = batch_norm_forward, .backward = batch_norm_backward};

/* ---- description ------------------------------------------------------------------------------- */

static int add_norm_layer(task_model *m, int x, const task_layer_kind *kind, double start, double epsilon) {
    if (x < 0) return -1;
    task_shape s = *task_value_shape(m, x);
    norm *d = task_add_layer(m, kind, sizeof *d, 1, &x, s.rank, s.dim);
    if (!d) return -1;
    d->rows = (size_t)s.rows, d->cols = (size_t)s.cols;
    d->epsilon = (real)epsilon, d->start = (real)start;
    int is_batch = kind == &batch_kind;
    d->normal = task_add_layer_work(m, d->rows * d->cols * sizeof(real));
    d->inverse = task_add_layer_work(m, (is_batch ? d->cols : d->rows) * sizeof(real));
    if (is_batch) d->mean = task_add_layer_work(m, d->cols * sizeof(real));
    task_add_layer_tensor(m, &d->base, is_batch ? "batch_scale" : "layer_scale", 1, (int64_t[]){s.cols});
    task_add_layer_tensor(m, &d->base, is_batch ? "batch_offset" : "layer_offset", 1, (int64_t[]){s.cols});
    return d->base.out;
}

int task_add_layer_norm(task_model *m, int x, double epsilon) {
    return add_norm_layer(m, x, &layer_kind, 1, epsilon);
}

int task_add_batch_norm(task_model *m, int x, double start, double epsilon) {
    return add_norm_layer(m, x, &batch_kind, start, epsilon);
}
