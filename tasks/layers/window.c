/* SPDX-License-Identifier: Apache-2.0
 *
 * window.c - see window.h. */
#include "layers/window.h"

/* Places along an axis of n; *before: padding before the first. 0: the window does not fit. */
static int count_window_steps(int n, int size, int stride, task_padding padding, int *before) {
    *before = 0;
    if (padding == TASK_VALID) return n < size ? 0 : (n - size) / stride + 1;
    int out = (n + stride - 1) / stride, missing = (out - 1) * stride + size - n;
    if (missing > 0) *before = missing / 2;
    return out;
}

int task_window_make(task_model *m, int x, int size, int stride, task_padding padding, task_window *w) {
    if (x < 0) return 0;
    const task_shape *s = task_value_shape(m, x);
    if (s->rank != 4) return task_model_fail(m, "a window over a value of %d axes, expected 4", s->rank), 0;
    if (size < 1 || stride < 1)
        return task_model_fail(m, "a window of size %d and stride %d, expected 1 or more", size, stride), 0;
    *w = (task_window){.batch = (int)s->dim[0],
                       .rows = (int)s->dim[1],
                       .cols = (int)s->dim[2],
                       .channels = (int)s->dim[3],
                       .size = size,
                       .stride = stride};
    w->out_rows = count_window_steps(w->rows, size, stride, padding, &w->above);
    w->out_cols = count_window_steps(w->cols, size, stride, padding, &w->left);
    if (w->out_rows && w->out_cols) return 1;
    return task_model_fail(m, "a window of %dx%d does not fit an image of %dx%d", size, size, w->rows, w->cols), 0;
}

/* Of one patch: where its window begins in an array of images, which may be before the image. */
typedef struct place {
    ptrdiff_t at;
    int top, bottom, left, right; /* the part inside the image, in lines and columns of the window */
} place;

static place place_of_window(const task_window *w, int r, int j) {
    place p;
    int row = task_window_part(w, r % w->out_rows, w->rows, w->above, &p.top, &p.bottom);
    int col = task_window_part(w, j, w->cols, w->left, &p.left, &p.right);
    p.at = (((ptrdiff_t)(r / w->out_rows) * w->rows + row) * w->cols + col) * w->channels;
    return p;
}

static void gather_window_patch(const task_window *w, const place *p, const real *x, real *patch) {
    ptrdiff_t line = (ptrdiff_t)w->size * w->channels, next = (ptrdiff_t)w->cols * w->channels;
    ptrdiff_t left = (ptrdiff_t)p->left * w->channels, right = (ptrdiff_t)p->right * w->channels;
    for (ptrdiff_t i = 0; i < p->top * line; i++) patch[i] = 0;
    for (ptrdiff_t k = p->top; k < p->bottom; k++) {
        const real *restrict from = x + (p->at + k * next + left);
        real *restrict to = patch + k * line;
        for (ptrdiff_t i = 0; i < left; i++) to[i] = 0;
        for (ptrdiff_t i = 0; i < right - left; i++) to[left + i] = from[i];
        for (ptrdiff_t i = right; i < line; i++) to[i] = 0;
    }
    for (ptrdiff_t i = p->bottom * line; i < w->size * line; i++) patch[i] = 0;
}

static void scatter_window_patch(const task_window *w, const place *p, const real *patch, real *x) {
    ptrdiff_t line = (ptrdiff_t)w->size * w->channels, next = (ptrdiff_t)w->cols * w->channels;
    ptrdiff_t left = (ptrdiff_t)p->left * w->channels, right = (ptrdiff_t)p->right * w->channels;
    for (ptrdiff_t k = p->top; k < p->bottom; k++) {
        real *restrict to = x + (p->at + k * next + left);
        const real *restrict from = patch + (k * line + left);
        for (ptrdiff_t i = 0; i < right - left; i++) to[i] += from[i];
    }
}

void task_window_gather(const task_window *w, const real *x, int first, int n, real *patches) {
    size_t patch = (size_t)w->size * (size_t)w->size * (size_t)w->channels;
    for (int r = first; r < first + n; r++) {
        for (int j = 0; j < w->out_cols; j++, patches += patch) {
            place p = place_of_window(w, r, j);
            gather_window_patch(w, &p, x, patches);
        }
    }
}

void task_window_scatter(const task_window *w, const real *patches, int first, int n, real *dx) {
    size_t patch = (size_t)w->size * (size_t)w->size * (size_t)w->channels;
    for (int r = first; r < first + n; r++) {
        for (int j = 0; j < w->out_cols; j++, patches += patch) {
            place p = place_of_window(w, r, j);
            scatter_window_patch(w, &p, patches, dx);
        }
    }
}
