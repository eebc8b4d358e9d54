/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise.c - see elementwise.h. Compiled once per instruction set with
 * -DTASK_ISA=portable|avx2|avx512 and that set's flags. Plain loops that gcc and clang vectorise:
 * no branch in them, no sum across lanes (sums run over rows, one lane a column), exp by a
 * polynomial instead of a call.
 *
 * With double as real, exp and tanh are libm's. */
#include "layers/elementwise.h"

#include <math.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#ifdef __FMA__
#define MUL_ADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MUL_ADD(a, b, c) ((a) * (b) + (c))
#endif

#ifdef TASK_REAL_DOUBLE

static inline real exp_(real x) {
    return exp(x);
}

static inline real tanh_(real x) {
    return tanh(x);
}

#else

/* 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2; e^r by its Taylor polynomial to r^7 (error
 * below 1e-8 of it). Adding 1.5 * 2^23 rounds to an integer and leaves n in the low bits. Outside
 * [-87, 88] the ends' values, NaN for NaN. */
static inline real exp_(real x) {
    const float shift = 12582912.0f;
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float t = MUL_ADD(x, 1.44269504f, shift);
    float n = t - shift;
    float r = MUL_ADD(n, -0.693359375f, x); /* ln 2 in two parts, the first exact in few bits */
    r = MUL_ADD(n, 2.12194440e-4f, r);
    float p = 1.0f / 5040;
    p = MUL_ADD(p, r, 1.0f / 720);
    p = MUL_ADD(p, r, 1.0f / 120);
    p = MUL_ADD(p, r, 1.0f / 24);
    p = MUL_ADD(p, r, 1.0f / 6);
    p = MUL_ADD(p, r, 0.5f);
    p = MUL_ADD(p, r, 1.0f);
    p = MUL_ADD(p, r, 1.0f);
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline real tanh_(real x) {
    return 2 / (1 + exp_(-2 * x)) - 1;
}

#endif

/* gelu(x) = x s(x), s(x) = sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)): the tanh form. */
#define GELU_SCALE ((real)1.5957691216057308)
#define GELU_CUBIC ((real)0.044715)

static inline real gelu_gate(real x) {
    return 1 / (1 + exp_(-GELU_SCALE * (x + GELU_CUBIC * x * x * x)));
}

static inline real gelu_slope(real x) {
    real s = gelu_gate(x);
    return s + x * s * (1 - s) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
}

static void activate(int activation, int rows, int cols, const real *restrict bias,
                     real *restrict z, real *restrict y) {
    for (int i = 0; i < rows; i++, y += cols) {
        if (activation == TASK_RELU) {
            for (int j = 0; j < cols; j++) {
                real v = y[j] + bias[j];
                y[j] = v < 0 ? 0 : v; /* NaN stays NaN */
            }
        } else if (activation == TASK_TANH) {
            for (int j = 0; j < cols; j++) y[j] = tanh_(y[j] + bias[j]);
        } else if (activation == TASK_GELU) {
            for (int j = 0; j < cols; j++) {
                z[j] += bias[j];
                y[j] = z[j] * gelu_gate(z[j]);
            }
            z += cols;
        } else {
            for (int j = 0; j < cols; j++) y[j] += bias[j];
        }
    }
}

/* sums[cols] += the rows of dy, four at a time: fewer passes over sums. */
static void add_rows(int rows, int cols, const real *restrict dy, real *restrict sums) {
    int i = 0;
    for (; i + 4 <= rows; i += 4, dy += 4 * (size_t)cols) {
        const real *a = dy, *b = a + cols, *c = b + cols, *d = c + cols;
        for (int j = 0; j < cols; j++) sums[j] += (a[j] + b[j]) + (c[j] + d[j]);
    }
    for (; i < rows; i++, dy += cols) {
        for (int j = 0; j < cols; j++) sums[j] += dy[j];
    }
}

static void activate_grad(int activation, int rows, int cols, const real *restrict z,
                          const real *restrict y, real *restrict dy, real *restrict bias_grad) {
    size_t n = (size_t)rows * (size_t)cols;
    if (activation == TASK_RELU) {
        for (size_t i = 0; i < n; i++) dy[i] = y[i] > 0 ? dy[i] : 0;
    } else if (activation == TASK_TANH) {
        for (size_t i = 0; i < n; i++) dy[i] *= 1 - y[i] * y[i];
    } else if (activation == TASK_GELU) {
        for (size_t i = 0; i < n; i++) dy[i] *= gelu_slope(z[i]);
    }
    for (int j = 0; j < cols; j++) bias_grad[j] = 0;
    add_rows(rows, cols, dy, bias_grad);
}

/* The sum of log(sums) as few logarithms of products: each factor lies in [1, classes], so 64 of
 * them stay far below the largest double. */
static double sum_of_logs(int n, const real *sums) {
    double total = 0, product = 1;
    for (int i = 0; i < n; i++) {
        product *= sums[i];
        if (i % 64 == 63) {
            total += log(product);
            product = 1;
        }
    }
    return total + log(product);
}

/* Works on the transpose, p[classes, rows], so that a lane is a row and no sum crosses lanes. */
static real cross_entropy(int rows, int classes, const real *restrict z,
                          const int32_t *restrict labels, real *restrict scratch,
                          real *restrict dz) {
    real *restrict p = scratch;
    real *restrict max = p + (size_t)classes * (size_t)rows;
    real *restrict sum = max + rows;
    for (int i = 0; i < rows; i++) {
        for (int c = 0; c < classes; c++)
            p[(size_t)c * (size_t)rows + (size_t)i] = z[i * classes + c];
    }
    for (int i = 0; i < rows; i++) max[i] = p[i];
    for (int c = 1; c < classes; c++) {
        const real *restrict row = p + (size_t)c * (size_t)rows;
        for (int i = 0; i < rows; i++) max[i] = row[i] > max[i] ? row[i] : max[i];
    }
    for (int i = 0; i < rows; i++) sum[i] = 0;
    for (int c = 0; c < classes; c++) {
        real *restrict row = p + (size_t)c * (size_t)rows;
        for (int i = 0; i < rows; i++) {
            row[i] = exp_(row[i] - max[i]);
            sum[i] += row[i];
        }
    }
    double loss = sum_of_logs(rows, sum);
    for (int i = 0; i < rows; i++) loss += (double)max[i] - (double)z[i * classes + labels[i]];
    if (dz) {
        for (int i = 0; i < rows; i++) sum[i] = 1 / (sum[i] * (real)rows);
        for (int i = 0; i < rows; i++) {
            for (int c = 0; c < classes; c++)
                dz[i * classes + c] = p[(size_t)c * (size_t)rows + (size_t)i] * sum[i];
            dz[i * classes + labels[i]] -= 1 / (real)rows;
        }
    }
    return (real)(loss / rows);
}

/* With multiply-adds by the inverse in two parts: as exact as the division that takes longer. */
static void gather(int batch, const int32_t *restrict rows, size_t n,
                   const uint16_t *restrict codes, real most, real *restrict out) {
    const double inverse = 1 / (double)most;
    const real high = (real)inverse, low = (real)(inverse - (double)high);
    for (int i = 0; i < batch; i++, out += n) {
        const uint16_t *restrict row = codes + (size_t)rows[i] * n;
        for (size_t j = 0; j < n; j++) {
#if defined(__FMA__) && !defined(TASK_REAL_DOUBLE)
            out[j] = MUL_ADD((real)row[j], high, (real)row[j] * low);
#else
            (void)high, (void)low;
            out[j] = (real)row[j] / most;
#endif
        }
    }
}

const task_elementwise JOIN(task_elementwise_, TASK_ISA) = {
    .name = TEXT(TASK_ISA),
    .activate = activate,
    .activate_grad = activate_grad,
    .cross_entropy = cross_entropy,
    .gather = gather,
};
