/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.c - see pool.h. */
#include "layers/pool.h"

#include <string.h>

typedef struct pool {
    task_layer base;
    task_window window;
    size_t largest; /* work: of each output where in x its pixel is, int32_t */
} pool;

static size_t count_pool_inputs(const task_window *w) {
    return (size_t)w->batch * (size_t)w->rows * (size_t)w->cols * (size_t)w->channels;
}

static size_t count_pool_outputs(const task_window *w) {
    return (size_t)w->batch * (size_t)w->out_rows * (size_t)w->out_cols * (size_t)w->channels;
}

static void clear_unless_added(const pool *p, real *dx) {
    if (!p->base.adds[0]) memset(dx, 0, count_pool_inputs(&p->window) * sizeof *dx);
}

/* The pixels inside the image of output place `i`, counted over all images. */
typedef struct pixels {
    size_t first; /* offset in x */
    int rows, cols;
} pixels;

static pixels pixels_of_window(const task_window *w, int i) {
    int top, bottom, left, right, r = i / w->out_cols;
    int row = task_window_part(w, r % w->out_rows, w->rows, w->above, &top, &bottom) + top;
    int col = task_window_part(w, i % w->out_cols, w->cols, w->left, &left, &right) + left;
    size_t image = (size_t)(r / w->out_rows) * (size_t)w->rows;
    size_t first = ((image + (size_t)row) * (size_t)w->cols + (size_t)col) * (size_t)w->channels;
    return (pixels){first, bottom - top, right - left};
}

/* Pixel k of them, counted row by row. */
static size_t offset_of_pixel(const task_window *w, const pixels *p, int k) {
    size_t place = (size_t)(k / p->cols) * (size_t)w->cols + (size_t)(k % p->cols);
    return p->first + place * (size_t)w->channels;
}

static int count_window_places(const task_window *w) {
    return w->batch * w->out_rows * w->out_cols;
}

/* ---- the largest ------------------------------------------------------------------------------- */

/* Where x is larger than y, y and its place become those of x. NaN stays NaN. */
static void take_larger_values(int n, const real *restrict x, int32_t place, real *restrict y,
                               int32_t *restrict largest) {
    for (int c = 0; c < n; c++) {
        int larger = (x[c] > y[c]) | (x[c] != x[c]); /* no branch: the loop vectorises */
        y[c] = larger ? x[c] : y[c];
        largest[c] = larger ? place + c : largest[c];
    }
}

static void max_pool_forward(const task_layer *l, const task_run *run) {
    const pool *p = (const pool *)l;
    const task_window *w = &p->window;
    const real *x = task_layer_input(run, l, 0);
    real *y = task_layer_output(run, l);
    int32_t *largest = task_ids_at(run->work, p->largest);
    for (int i = 0; i < count_window_places(w); i++, y += w->channels, largest += w->channels) {
        pixels inside = pixels_of_window(w, i);
        for (int c = 0; c < w->channels; c++) {
            largest[c] = (int32_t)inside.first + c;
            y[c] = x[largest[c]];
        }
        for (int k = 1; k < inside.rows * inside.cols; k++) {
            size_t at = offset_of_pixel(w, &inside, k);
            take_larger_values(w->channels, x + at, (int32_t)at, y, largest);
        }
    }
}

static void max_pool_backward(const task_layer *l, const task_run *run) {
    const pool *p = (const pool *)l;
    const real *dy = task_layer_output_grad(run, l);
    real *dx = task_layer_input_grad(run, l, 0);
    const int32_t *largest = task_ids_at(run->work, p->largest);
    if (!dx) return;
    clear_unless_added(p, dx);
    for (size_t i = 0; i < count_pool_outputs(&p->window); i++) dx[largest[i]] += dy[i];
}

static const task_layer_kind max_kind = {
    .name = "max pool", .forward = max_pool_forward, .backward = max_pool_backward};

/* ---- the average ------------------------------------------------------------------------------- */

static void average_pool_forward(const task_layer *l, const task_run *run) {
    const pool *p = (const pool *)l;
    const task_window *w = &p->window;
    const real *x = task_layer_input(run, l, 0);
    real *y = task_layer_output(run, l);
    for (int i = 0; i < count_window_places(w); i++, y += w->channels) {
        pixels inside = pixels_of_window(w, i);
        int n = inside.rows * inside.cols;
        for (int c = 0; c < w->channels; c++) y[c] = 0;
        for (int k = 0; k < n; k++) {
            const real *pixel = x + offset_of_pixel(w, &inside, k);
            for (int c = 0; c < w->channels; c++) y[c] += pixel[c];
        }
        for (int c = 0; c < w->channels; c++) y[c] *= 1 / (real)n;
    }
}

static void average_pool_backward(const task_layer *l, const task_run *run) {
    const pool *p = (const pool *)l;
    const task_window *w = &p->window;
    const real *dy = task_layer_output_grad(run, l);
    real *dx = task_layer_input_grad(run, l, 0);
    if (!dx) return;
    clear_unless_added(p, dx);
    for (int i = 0; i < count_window_places(w); i++, dy += w->channels) {
        pixels inside = pixels_of_window(w, i);
        int n = inside.rows * inside.cols;
        for (int k = 0; k < n; k++) {
            real *pixel = dx + offset_of_pixel(w, &inside, k);
            for (int c = 0; c < w->channels; c++) pixel[c] += dy[c] * (1 / (real)n);
        }
    }
}

static const task_layer_kind average_kind = {
    .name = "average pool", .forward = average_pool_forward, .backward = average_pool_backward};

/* ---- descriptions ------------------------------------------------------------------------------ */

static int add_pool_layer(task_model *m, const task_layer_kind *kind, int x, const task_window *w, int rank) {
    int64_t dim[] = {w->batch, w->out_rows, w->out_cols, w->channels};
    if (rank == 2) dim[1] = w->channels;
    pool *p = task_add_layer(m, kind, sizeof *p, 1, &x, rank, dim);
    if (!p) return -1;
    p->window = *w;
    if (kind == &max_kind) p->largest = task_add_input_ids(m, count_pool_outputs(w));
    p->base.flops = 2.0 * (double)count_pool_outputs(w) * w->size * w->size;
    return p->base.out;
}

int task_add_max_pool(task_model *m, int x, int size, int stride, task_padding padding) {
    task_window w;
    if (!task_window_make(m, x, size, stride, padding, &w)) return -1;
    return add_pool_layer(m, &max_kind, x, &w, 4);
}

int task_average_pool(task_model *m, int x, int size, int stride, task_padding padding) {
    task_window w;
    if (!task_window_make(m, x, size, stride, padding, &w)) return -1;
    return add_pool_layer(m, &average_kind, x, &w, 4);
}

/* The average in one window that is as large as the image, square or not. */
int task_add_global_average(task_model *m, int x) {
    task_window w;
    if (!task_window_make(m, x, 1, 1, TASK_VALID, &w)) return -1;
    w.size = w.stride = w.rows > w.cols ? w.rows : w.cols;
    w.out_rows = w.out_cols = 1;
    return add_pool_layer(m, &average_kind, x, &w, 2);
}
