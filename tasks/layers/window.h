/* SPDX-License-Identifier: Apache-2.0
 *
 * window.h - a square window that slides over images: where convolution and pooling look.
 *
 *     task_window w;
 *     if (!task_window_make(m, x, size, stride, TASK_SAME, &w)) return -1;     x[batch, rows, cols, channels]
 *     task_window_gather(&w, x, first, n, patches);     what the window sees, zeros outside of the image
 *     task_window_scatter(&w, patches, first, n, dx);   its transpose: dx += patches
 *
 * Rows     output rows of all images are counted through: row r is row r % out_rows of image r / out_rows.
 *          Of `n` of them from `first`, patches has n * out_cols lines of size * size * channels numbers, in
 *          the order of a weight tensor [size, size, channels, .].
 * Padding  SAME: ceil(n / stride) places, the image in the middle, the odd zero after it. VALID: those places
 *          whose window lies inside the image. */
#ifndef TASK_WINDOW_H
#define TASK_WINDOW_H

#include "model/model.h"

typedef enum task_padding { TASK_SAME, TASK_VALID } task_padding;

typedef struct task_window {
    int batch, rows, cols, channels, size, stride;
    int out_rows, out_cols;
    int above, left; /* padding before the first row and column */
} task_window;

int task_window_make(task_model *m, int x, int size, int stride, task_padding padding, task_window *w);

/* The part of the window at output place i that lies in the image: [*begin, *end) of 0..size-1. Returns where
 * place 0 of the window lies. `n` and `before` are of the axis: rows and above, or cols and left. */
static inline int task_window_part(const task_window *w, int i, int n, int before, int *begin, int *end) {
    int at = i * w->stride - before;
    *begin = at < 0 ? -at : 0;
    *end = at + w->size > n ? n - at : w->size;
    return at;
}

void task_window_gather(const task_window *w, const real *x, int first, int n, real *patches);
void task_window_scatter(const task_window *w, const real *patches, int first, int n, real *dx);

#endif
