/* SPDX-License-Identifier: Apache-2.0
 *
 * newton_schulz.c - three small matrix products a step, which are the kernels'. */
#include "newton_schulz.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "normalise.h"

const float lopt__newton_schulz_published[3] = {3.4445f, -4.7750f, 2.0315f};

static int64_t smaller(int64_t rows, int64_t cols) {
    return rows < cols ? rows : cols;
}

size_t lopt__newton_schulz_scratch(int64_t rows, int64_t cols) {
    int64_t n = smaller(rows, cols);
    return (size_t)(3 * rows * cols + 2 * n * n);
}

static void transpose(const float *restrict x, int64_t rows, int64_t cols, float *restrict out) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            out[j * rows + i] = x[i * cols + j];
}

static void divide_by_norm(float *x, int64_t n, float epsilon) {
    float norm = sqrtf((float)lopt__sum_of_squares(x, n)) + epsilon;
    for (int64_t i = 0; i < n; i++)
        x[i] /= norm;
}

/* out[rows][cols] = a[rows][inner] b[inner][cols] */
static void product(int64_t rows, int64_t cols, int64_t inner, const float *a, const float *b,
                    float *out) {
    memset(out, 0, (size_t)(rows * cols) * sizeof *out);
    lopt__kernels_current()->multiply(rows, cols, inner, a, inner, b, cols, out, cols);
}

/* next = a x + (b A + c A A) x, A = x x^T, x [n][m]; x_t [m][n], A and AA [n][n] are scratch. */
static void newton_schulz_step(const float coefficient[3], int64_t n, int64_t m, const float *x,
                               float *x_t, float *A, float *AA, float *next) {
    transpose(x, n, m, x_t);
    product(n, n, m, x, x_t, A);
    product(n, n, n, A, A, AA);
    for (int64_t i = 0; i < n * n; i++)
        A[i] = coefficient[1] * A[i] + coefficient[2] * AA[i];
    for (int64_t i = 0; i < n * m; i++)
        next[i] = coefficient[0] * x[i];
    lopt__kernels_current()->multiply(n, m, n, A, n, x, m, next, m);
}

void lopt__newton_schulz(float *x, int64_t rows, int64_t cols, int steps,
                         const float coefficient[3], float epsilon, float *scratch) {
    int64_t n = smaller(rows, cols), size = rows * cols, m = size / n;
    float *now = scratch, *next = now + size, *x_t = next + size, *A = x_t + size, *AA = A + n * n;
    if (rows > cols)
        transpose(x, rows, cols, now);
    else
        memcpy(now, x, (size_t)size * sizeof *x);
    divide_by_norm(now, size, epsilon);
    for (int s = 0; s < steps; s++) {
        newton_schulz_step(coefficient, n, m, now, x_t, A, AA, next);
        float *done = now;
        now = next;
        next = done;
    }
    if (rows > cols)
        transpose(now, n, m, x);
    else
        memcpy(x, now, (size_t)size * sizeof *x);
}
