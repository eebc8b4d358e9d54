/* SPDX-License-Identifier: Apache-2.0
 *
 * sum.c - see sum.h. */
#include "layers/sum.h"

#include <string.h>

typedef struct sum {
    task_layer base;
    int rows, cols;
    task_init init;
    real factor, shift;
} sum;

static size_t count_layer_numbers(const task_layer *l) {
    return (size_t)((const sum *)l)->rows * (size_t)((const sum *)l)->cols;
}

/* ---- sum --------------------------------------------------------------------------------------- */

static void sum_forward(const task_layer *l, const task_run *run) {
    real *restrict y = task_layer_output(run, l);
    size_t n = count_layer_numbers(l);
    memcpy(y, task_layer_input(run, l, 0), n * sizeof *y);
    for (int k = 1; k < l->n_in; k++) {
        const real *restrict x = task_layer_input(run, l, k);
        for (size_t i = 0; i < n; i++) y[i] += x[i];
    }
}

static void sum_backward(const task_layer *l, const task_run *run) {
    const real *restrict dy = task_layer_output_grad(run, l);
    size_t n = count_layer_numbers(l);
    for (int k = 0; k < l->n_in; k++) {
        real *restrict dx = task_layer_input_grad(run, l, k);
        if (dx && l->adds[k]) {
            for (size_t i = 0; i < n; i++) dx[i] += dy[i];
        } else if (dx) {
            memcpy(dx, dy, n * sizeof *dx);
        }
    }
}

static const task_layer_kind sum_kind = {.name = "sum", .forward = sum_forward, .backward = sum_backward};

static sum *add_sum_layer(task_model *m, const task_layer_kind *kind, int n, const int *x) {
    task_shape s = *task_value_shape(m, x[0]);
    sum *l = task_add_layer(m, kind, sizeof *l, n, x, s.rank, s.dim);
    if (l) l->rows = (int)s.rows, l->cols = (int)s.cols;
    return l;
}

int task_add_sum(task_model *m, int n, const int *x) {
    for (int k = 0; k < n; k++)
        if (x[k] < 0) return -1;
    for (int k = 1; k < n; k++) {
        const task_shape *a = task_value_shape(m, x[0]), *b = task_value_shape(m, x[k]);
        if (a->rows != b->rows || a->cols != b->cols)
            return task_model_fail(m, "a sum of %lld x %lld and %lld x %lld values", (long long)a->rows,
                                   (long long)a->cols, (long long)b->rows, (long long)b->cols);
    }
    sum *l = add_sum_layer(m, &sum_kind, n, x);
    return l ? l->base.out : -1;
}

/* ---- bias and scale ---------------------------------------------------------------------------- */

static void vector_layer_init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    const sum *s = (const sum *)l;
    task_init_fill(&s->init, tau, 1, (int64_t[]){s->cols}, r, params + l->tensor[0]);
}

static void bias_forward(const task_layer *l, const task_run *run) {
    const sum *s = (const sum *)l;
    const real *restrict x = task_layer_input(run, l, 0), *restrict b = task_layer_tensor_at(run, l, 0);
    real *restrict y = task_layer_output(run, l);
    for (int i = 0; i < s->rows; i++, x += s->cols, y += s->cols)
        for (int j = 0; j < s->cols; j++) y[j] = x[j] + b[j];
}

static void bias_backward(const task_layer *l, const task_run *run) {
    const sum *s = (const sum *)l;
    const real *restrict dy = task_layer_output_grad(run, l);
    real *restrict db = task_layer_tensor_grad(run, l, 0);
    sum_backward(l, run);
    memset(db, 0, (size_t)s->cols * sizeof *db);
    for (int i = 0; i < s->rows; i++, dy += s->cols)
        for (int j = 0; j < s->cols; j++) db[j] += dy[j];
}

static const task_layer_kind bias_kind = {
    .name = "bias", .init = vector_layer_init, .forward = bias_forward, .backward = bias_backward};

static void scale_forward(const task_layer *l, const task_run *run) {
    const sum *s = (const sum *)l;
    const real *restrict x = task_layer_input(run, l, 0), *restrict scale = task_layer_tensor_at(run, l, 0);
    real *restrict y = task_layer_output(run, l);
    for (int i = 0; i < s->rows; i++, x += s->cols, y += s->cols)
        for (int j = 0; j < s->cols; j++) y[j] = x[j] * scale[j];
}

static void scale_backward(const task_layer *l, const task_run *run) {
    const sum *s = (const sum *)l;
    const real *restrict x = task_layer_input(run, l, 0), *restrict dy = task_layer_output_grad(run, l);
    const real *restrict scale = task_layer_tensor_at(run, l, 0);
    real *restrict dscale = task_layer_tensor_grad(run, l, 0), *restrict dx = task_layer_input_grad(run, l, 0);
    memset(dscale, 0, (size_t)s->cols * sizeof *dscale);
    for (int i = 0; i < s->rows; i++, x += s->cols, dy += s->cols) {
        for (int j = 0; j < s->cols; j++) dscale[j] += dy[j] * x[j];
        if (!dx) continue;
        for (int j = 0; j < s->cols; j++) dx[j] = (l->adds[0] ? dx[j] : 0) + dy[j] * scale[j];
        dx += s->cols;
    }
}

static const task_layer_kind scale_kind = {
    .name = "scale", .init = vector_layer_init, .forward = scale_forward, .backward = scale_backward};

static int add_vector_layer(task_model *m, int x, const task_layer_kind *kind, task_init init) {
    if (x < 0) return -1;
    sum *l = add_sum_layer(m, kind, 1, &x);
    if (!l) return -1;
    l->init = init;
    task_add_layer_tensor(m, &l->base, kind->name, 1, (int64_t[]){l->cols});
    return l->base.out;
}

int task_add_bias(task_model *m, int x, task_init init) {
    return add_vector_layer(m, x, &bias_kind, init);
}

int task_add_scale(task_model *m, int x, task_init init) {
    return add_vector_layer(m, x, &scale_kind, init);
}

/* ---- fixed scale and shift --------------------------------------------------------------------- */

static void affine_forward(const task_layer *l, const task_run *run) {
    const sum *s = (const sum *)l;
    const real *restrict x = task_layer_input(run, l, 0);
    real *restrict y = task_layer_output(run, l);
    for (size_t i = 0; i < count_layer_numbers(l); i++) y[i] = s->factor * x[i] + s->shift;
}

static void affine_backward(const task_layer *l, const task_run *run) {
    const sum *s = (const sum *)l;
    const real *restrict dy = task_layer_output_grad(run, l);
    real *restrict dx = task_layer_input_grad(run, l, 0);
    for (size_t i = 0; i < count_layer_numbers(l); i++) dx[i] = (l->adds[0] ? dx[i] : 0) + s->factor * dy[i];
}

static const task_layer_kind affine_kind = {.name = "affine", .forward = affine_forward, .backward = affine_backward};

int task_add_affine(task_model *m, int x, double factor, double shift) {
    if (x < 0) return -1;
    sum *l = add_sum_layer(m, &affine_kind, 1, &x);
    if (!l) return -1;
    l->factor = (real)factor, l->shift = (real)shift;
    return l->base.out;
}
