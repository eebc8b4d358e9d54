/* SPDX-License-Identifier: Apache-2.0
 *
 * newton_schulz.c - scaling and transposition; the kernels do the steps. */
#include "classical/newton_schulz.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/normalise.h"

const float lopt__newton_schulz_published[3] = {3.4445f, -4.7750f, 2.0315f};

/* The longer side has m rows, the shorter n columns, padded to whole vectors. */
static lopt__newton_schulz_work shape_of_work(int64_t rows, int64_t cols) {
    int64_t n = rows < cols ? rows : cols;
    return (lopt__newton_schulz_work){.n = n, .m = n == rows ? cols : rows, .pitch = lopt__round_up(n)};
}

size_t lopt__newton_schulz_scratch(int64_t rows, int64_t cols) {
    lopt__newton_schulz_work w = shape_of_work(rows, cols);
    return (size_t)(2 * w.pitch * (w.m + w.n));
}

/* y[m][pitch] = x / by, or its transpose. */
static void scale_into_work(const lopt__newton_schulz_work *w, int is_wide, const float *restrict x, float by,
                            float *restrict y) {
    memset(y, 0, (size_t)(w->m * w->pitch) * sizeof *y);
    for (int64_t i = 0; i < w->m; i++)
        for (int64_t j = 0; j < w->n && is_wide; j++) y[i * w->pitch + j] = x[j * w->m + i] / by;
    for (int64_t i = 0; i < w->m && !is_wide; i++)
        for (int64_t j = 0; j < w->n; j++) y[i * w->pitch + j] = x[i * w->n + j] / by;
}

static void copy_from_work(const lopt__newton_schulz_work *w, int is_wide, const float *restrict y, float *restrict x) {
    for (int64_t j = 0; j < w->n && is_wide; j++)
        for (int64_t i = 0; i < w->m; i++) x[j * w->m + i] = y[i * w->pitch + j];
    for (int64_t i = 0; i < w->m && !is_wide; i++) memcpy(x + i * w->n, y + i * w->pitch, (size_t)w->n * sizeof *x);
}

void lopt__newton_schulz(float *x, int64_t rows, int64_t cols, int steps, const float coefficient[3], float epsilon,
                         float *scratch) {
    lopt__newton_schulz_work w = shape_of_work(rows, cols);
    int64_t size = w.m * w.pitch;
    float *now = scratch, *next = now + size;
    w.coefficient = coefficient;
    w.gram = next + size;
    w.factor = w.gram + w.n * w.pitch;
    scale_into_work(&w, rows < cols, x, sqrtf((float)lopt__sum_of_squares(x, rows * cols)) + epsilon, now);
    for (int s = 0; s < steps; s++) {
        w.now = now;
        w.next = next;
        lopt__kernels_current()->newton_schulz_step(&w);
        next = now;
        now = w.next;
    }
    copy_from_work(&w, rows < cols, now, x);
}
