/* SPDX-License-Identifier: Apache-2.0
 *
 * newton_schulz.c - five small matrix products, with inner loops that vectorise: dot products of
 * rows for the symmetric X X^T and A A (A is symmetric too), sums of rows for B X. */
#include "newton_schulz.h"

#include <math.h>
#include <string.h>

const float lopt__newton_schulz_published[3] = {3.4445f, -4.7750f, 2.0315f};

#define N_SUMS 16 /* partial sums of a dot product */

static int64_t smaller(int64_t rows, int64_t cols)
{
    return rows < cols ? rows : cols;
}

size_t lopt__newton_schulz_scratch(int64_t rows, int64_t cols)
{
    int64_t n = smaller(rows, cols);
    return (size_t)(2 * rows * cols + 2 * n * n);
}

static float dot(const float *restrict a, const float *restrict b, int64_t n)
{
    float sum[N_SUMS] = {0}, total = 0;
    int64_t i = 0;
    for (; i + N_SUMS <= n; i += N_SUMS)
        for (int k = 0; k < N_SUMS; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        total += a[i] * b[i];
    for (int k = 0; k < N_SUMS; k++)
        total += sum[k];
    return total;
}

/* out[rows][rows] = x x^T */
static void gram(const float *x, int64_t rows, int64_t cols, float *out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j <= i; j++)
            out[i * rows + j] = out[j * rows + i] = dot(x + i * cols, x + j * cols, cols);
}

/* out[n] += a0 x0[n] + a1 x1[n] + a2 x2[n] + a3 x3[n], the x's `cols` apart */
static void add_four_rows(float *restrict out, const float *a, const float *restrict x,
                          int64_t cols)
{
    const float *x1 = x + cols, *x2 = x1 + cols, *x3 = x2 + cols;
    for (int64_t j = 0; j < cols; j++)
        out[j] += a[0] * x[j] + a[1] * x1[j] + a[2] * x2[j] + a[3] * x3[j];
}

/* out[rows][cols] = x_factor x + b x */
static void update(float x_factor, const float *restrict x, const float *b, int64_t rows,
                   int64_t cols, float *restrict out)
{
    for (int64_t i = 0; i < rows; i++) {
        float *restrict y = out + i * cols;
        int64_t k = 0;
        for (int64_t j = 0; j < cols; j++)
            y[j] = x_factor * x[i * cols + j];
        for (; k + 4 <= rows; k += 4)
            add_four_rows(y, b + i * rows + k, x + k * cols, cols);
        for (; k < rows; k++)
            for (int64_t j = 0; j < cols; j++)
                y[j] += b[i * rows + k] * x[k * cols + j];
    }
}

static void transpose(const float *restrict x, int64_t rows, int64_t cols, float *restrict out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            out[j * rows + i] = x[i * cols + j];
}

static void divide_by_norm(float *x, int64_t n, float epsilon)
{
    float norm = sqrtf(dot(x, x, n)) + epsilon;
    for (int64_t i = 0; i < n; i++)
        x[i] /= norm;
}

void lopt__newton_schulz(float *x, int64_t rows, int64_t cols, int steps,
                         const float coefficient[3], float epsilon, float *scratch)
{
    int64_t n = smaller(rows, cols), m = rows * cols / n, size = rows * cols;
    float *now = scratch, *next = now + size, *a = next + size, *aa = a + n * n;
    if (rows > cols)
        transpose(x, rows, cols, now);
    else
        memcpy(now, x, (size_t)size * sizeof *x);
    divide_by_norm(now, size, epsilon);
    for (int s = 0; s < steps; s++) {
        gram(now, n, m, a);
        gram(a, n, n, aa);
        for (int64_t i = 0; i < n * n; i++)
            a[i] = coefficient[1] * a[i] + coefficient[2] * aa[i];
        update(coefficient[0], now, a, n, m, next);
        float *done = now;
        now = next;
        next = done;
    }
    if (rows > cols)
        transpose(now, n, m, x);
    else
        memcpy(x, now, (size_t)size * sizeof *x);
}
