/* SPDX-License-Identifier: Apache-2.0
 *
 * elementwise.c - see elementwise.h. Compiled once per instruction set with
 * -DTASK_ISA=portable|avx2|avx512 and that set's flags. Plain loops that gcc and clang vectorise:
 * no branch in them, no sum across lanes (sums run over rows, one lane a column), exp by a
 * polynomial instead of a call.
 *
 * With double as real, exp and tanh are libm's. */
#include "math/elementwise.h"

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

static inline real exp_of_real(real x) {
    return exp(x);
}

static inline real tanh_of_real(real x) {
    return tanh(x);
}

static inline real sin_of_real(real x) {
    return sin(x);
}

static inline real cos_of_real(real x) {
    return cos(x);
}

#else

/* 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2; e^r by its Taylor polynomial to r^7 (error
 * below 1e-8 of it). Adding 1.5 * 2^23 rounds to an integer and leaves n in the low bits. Outside
 * [-87, 88] the ends' values, NaN for NaN. */
static inline real exp_of_real(real x) {
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

static inline real tanh_of_real(real x) {
    return 2 / (1 + exp_of_real(-2 * x)) - 1;
}

/* (-1)^k sin(x - m pi) with k = round(x / pi + shift), m = k - shift, so |x - m pi| <= pi / 2: sin x for shift 0,
 * cos x for shift 1/2. pi in three parts; sin by its Taylor polynomial to r^13 (error below 1e-9). Beyond
 * 1e4 the reduction loses digits, beyond 1e7 the result is any number in [-1, 1]. */
static inline real wave_of_real(real x, real shift) {
    const float round = 12582912.0f;
    float t = MUL_ADD(x, 0.318309886f, shift) + round;
    float m = (t - round) - shift;
    float r = MUL_ADD(m, -3.140625f, x);
    r = MUL_ADD(m, -9.67025756836e-4f, r);
    r = MUL_ADD(m, -6.27711415e-7f, r);
    r = r < -1.6f ? -1.6f : r;
    r = r > 1.6f ? 1.6f : r;
    float s = r * r, p = 1.0f / 6227020800;
    p = MUL_ADD(p, s, -1.0f / 39916800);
    p = MUL_ADD(p, s, 1.0f / 362880);
    p = MUL_ADD(p, s, -1.0f / 5040);
    p = MUL_ADD(p, s, 1.0f / 120);
    p = MUL_ADD(p, s, -1.0f / 6);
    p = MUL_ADD(p * s, r, r);
    uint32_t parity, bits;
    memcpy(&parity, &t, sizeof parity);
    memcpy(&bits, &p, sizeof bits);
    bits ^= parity << 31;
    memcpy(&p, &bits, sizeof p);
    return p;
}

static inline real sin_of_real(real x) {
    return wave_of_real(x, 0);
}

static inline real cos_of_real(real x) {
    return wave_of_real(x, 0.5f);
}

#endif

/* gelu(x) = x s(x), s(x) = sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)): the tanh form. */
#define GELU_SCALE ((real)1.5957691216057308)
#define GELU_CUBIC ((real)0.044715)

static inline real gelu_gate_of(real x) {
    return 1 / (1 + exp_of_real(-GELU_SCALE * (x + GELU_CUBIC * x * x * x)));
}

static inline real gelu_slope_of(real x) {
    real s = gelu_gate_of(x);
    return s + x * s * (1 - s) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
}

#define SELU_SCALE ((real)1.0507009873554805)
#define SELU_ALPHA ((real)1.6732632423543772)

static inline real logistic_of_real(real x) {
    return 1 / (1 + exp_of_real(-x));
}

/* NaN stays NaN in all of them. */
static inline real activation_value(int activation, real x) {
    switch (activation) {
    case TASK_RELU:
        return x < 0 ? 0 : x;
    case TASK_TANH:
        return tanh_of_real(x);
    case TASK_GELU:
        return x * gelu_gate_of(x);
    case TASK_RELU6:
        return x < 0 ? 0 : x > 6 ? 6 : x;
    case TASK_SIGMOID:
        return logistic_of_real(x);
    case TASK_SILU:
        return x * logistic_of_real(x);
    case TASK_SELU:
        return SELU_SCALE * (x > 0 ? x : SELU_ALPHA * (exp_of_real(x) - 1));
    case TASK_COS:
        return cos_of_real(x);
    case TASK_SIN:
        return sin_of_real(x);
    case TASK_LEAKY_RELU:
        return x < 0 ? (real)0.01 * x : x;
    case TASK_FOLDED_RELU:
        return x < 0 ? (real)-0.5 * x : x;
    case TASK_ELU:
        return x > 0 ? x : exp_of_real(x) - 1;
    default:
        return x;
    }
}

/* dy f'(x), by y = f(x) where that is enough. */
static inline real activation_gradient(int activation, real x, real y, real dy) {
    real gate;
    switch (activation) {
    case TASK_RELU:
        return y > 0 ? dy : 0;
    case TASK_TANH:
        return dy * (1 - y * y);
    case TASK_GELU:
        return dy * gelu_slope_of(x);
    case TASK_RELU6:
        return y > 0 && y < 6 ? dy : 0;
    case TASK_SIGMOID:
        return dy * (y * (1 - y));
    case TASK_SILU:
        gate = logistic_of_real(x);
        return dy * (gate * (1 + x * (1 - gate)));
    case TASK_SELU:
        return dy * (y > 0 ? SELU_SCALE : y + SELU_SCALE * SELU_ALPHA);
    case TASK_COS:
        return dy * -sin_of_real(x);
    case TASK_SIN:
        return dy * cos_of_real(x);
    case TASK_LEAKY_RELU:
        return y < 0 ? (real)0.01 * dy : dy;
    case TASK_FOLDED_RELU:
        return x < 0 ? (real)-0.5 * dy : dy;
    case TASK_ELU:
        return dy * (y > 0 ? 1 : y + 1);
    default:
        return dy;
    }
}

/* LOOP(activation) for the one that is asked for: a loop each, so that the choice is outside of it. */
#define EACH_ACTIVATION(activation, LOOP)                                                                              \
    switch (activation) {                                                                                              \
    case TASK_RELU:                                                                                                    \
        LOOP(TASK_RELU) break;                                                                                         \
    case TASK_TANH:                                                                                                    \
        LOOP(TASK_TANH) break;                                                                                         \
    case TASK_GELU:                                                                                                    \
        LOOP(TASK_GELU) break;                                                                                         \
    case TASK_RELU6:                                                                                                   \
        LOOP(TASK_RELU6) break;                                                                                        \
    case TASK_SIGMOID:                                                                                                 \
        LOOP(TASK_SIGMOID) break;                                                                                      \
    case TASK_SILU:                                                                                                    \
        LOOP(TASK_SILU) break;                                                                                         \
    case TASK_SELU:                                                                                                    \
        LOOP(TASK_SELU) break;                                                                                         \
    case TASK_COS:                                                                                                     \
        LOOP(TASK_COS) break;                                                                                          \
    case TASK_SIN:                                                                                                     \
        LOOP(TASK_SIN) break;                                                                                          \
    case TASK_LEAKY_RELU:                                                                                              \
        LOOP(TASK_LEAKY_RELU) break;                                                                                   \
    case TASK_FOLDED_RELU:                                                                                             \
        LOOP(TASK_FOLDED_RELU) break;                                                                                  \
    case TASK_ELU:                                                                                                     \
        LOOP(TASK_ELU) break;                                                                                          \
    default:                                                                                                           \
        LOOP(TASK_LINEAR) break;                                                                                       \
    }

static void elementwise_apply(int activation, size_t n, const real *restrict x, real *restrict y) {
#define LOOP(A)                                                                                                        \
    for (size_t i = 0; i < n; i++) y[i] = activation_value(A, x[i]);
    EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}

static void elementwise_apply_grad(int activation, size_t n, const real *restrict x, const real *restrict y,
                                   const real *restrict dy, int added, real *restrict dx) {
    if (!added) memset(dx, 0, n * sizeof *dx);
#define LOOP(A)                                                                                                        \
    for (size_t i = 0; i < n; i++) dx[i] += activation_gradient(A, x[i], y[i], dy[i]);
    EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}

static void elementwise_activate(int activation, int rows, int cols, const real *restrict bias, real *restrict z,
                                 real *restrict y) {
#define LOOP(A)                                                                                                        \
    for (int i = 0; i < rows; i++, y += cols) {                                                                        \
        for (int j = 0; j < cols; j++) {                                                                               \
            if (task_activation_keeps_input(A)) {                                                                      \
                z[j] += bias[j];                                                                                       \
                y[j] = activation_value(A, z[j]);                                                                      \
            } else {                                                                                                   \
                y[j] = activation_value(A, y[j] + bias[j]);                                                            \
            }                                                                                                          \
        }                                                                                                              \
        z += task_activation_keeps_input(A) ? cols : 0;                                                                \
    }
    EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}

/* sums[cols] += the rows of dy, four at a time: fewer passes over sums. */
static void add_rows_to_sums(int rows, int cols, const real *restrict dy, real *restrict sums) {
    int i = 0;
    for (; i + 4 <= rows; i += 4, dy += 4 * (size_t)cols) {
        const real *a = dy, *b = a + cols, *c = b + cols, *d = c + cols;
        for (int j = 0; j < cols; j++) sums[j] += (a[j] + b[j]) + (c[j] + d[j]);
    }
    for (; i < rows; i++, dy += cols) {
        for (int j = 0; j < cols; j++) sums[j] += dy[j];
    }
}

static void elementwise_activate_grad(int activation, int rows, int cols, const real *restrict z,
                                      const real *restrict y, real *restrict dy, real *restrict bias_grad) {
    size_t n = (size_t)rows * (size_t)cols;
#define LOOP(A)                                                                                                        \
    for (size_t i = 0; i < n; i++)                                                                                     \
        dy[i] = activation_gradient(A, task_activation_keeps_input(A) ? z[i] : 0, y[i], dy[i]);
    if (activation != TASK_LINEAR) EACH_ACTIVATION(activation, LOOP)
#undef LOOP
    for (int j = 0; j < cols; j++) bias_grad[j] = 0;
    add_rows_to_sums(rows, cols, dy, bias_grad);
}

/* The sum of log(sums) as few logarithms of products: each factor lies in [1, classes], so 64 of
 * them stay below the largest double for up to 65,000 classes. */
static double sum_logs_of_rows(int n, const real *sums) {
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

/* exp(z - max) of a block of rows, transposed to p[classes, rows], so that a lane is a row and no sum
 * crosses lanes; the maxima and the sums. */
static void set_exponentials(int rows, int classes, const real *restrict z, real *restrict p, real *restrict max,
                             real *restrict sum) {
    for (int i = 0; i < rows; i++) {
        for (int c = 0; c < classes; c++) p[c * rows + i] = z[(size_t)i * (size_t)classes + (size_t)c];
    }
    for (int i = 0; i < rows; i++) max[i] = p[i];
    for (int c = 1; c < classes; c++) {
        const real *restrict row = p + c * rows;
        for (int i = 0; i < rows; i++) max[i] = row[i] > max[i] ? row[i] : max[i];
    }
    for (int i = 0; i < rows; i++) sum[i] = 0;
    for (int c = 0; c < classes; c++) {
        real *restrict row = p + c * rows;
        for (int i = 0; i < rows; i++) {
            row[i] = exp_of_real(row[i] - max[i]);
            sum[i] += row[i];
        }
    }
}

/* (softmax - one at the label) / counted; 0 where there is no label. */
static void set_softmax_grad(int rows, int classes, real counted, const real *restrict p, const real *restrict sum,
                             const int32_t *restrict labels, real *restrict dz) {
    for (int i = 0; i < rows; i++, dz += classes) {
        real scale = labels[i] < 0 ? 0 : 1 / (sum[i] * counted);
        for (int c = 0; c < classes; c++) dz[c] = p[c * rows + i] * scale;
        if (labels[i] >= 0) dz[labels[i]] -= 1 / counted;
    }
}

static real elementwise_cross_entropy(int rows, int classes, const real *restrict z, const int32_t *restrict labels,
                                      real *restrict scratch, real *restrict dz) {
    real *restrict max = scratch, *restrict sum = max + rows, *restrict p = sum + rows;
    int block = task_cross_entropy_block(classes), counted = 0;
    for (int i = 0; i < rows; i++) counted += labels[i] >= 0;
    if (counted == 0) counted = 1;
    for (int i = 0; i < rows; i += block) {
        int n = rows - i < block ? rows - i : block;
        size_t begin = (size_t)i * (size_t)classes;
        set_exponentials(n, classes, z + begin, p, max + i, sum + i);
        if (dz) set_softmax_grad(n, classes, (real)counted, p, sum + i, labels + i, dz + begin);
    }
    for (int i = 0; i < rows; i++) sum[i] = labels[i] < 0 ? 1 : sum[i];
    double loss = sum_logs_of_rows(rows, sum);
    for (int i = 0; i < rows; i++) {
        if (labels[i] >= 0) loss += (double)max[i] - (double)z[(size_t)i * (size_t)classes + (size_t)labels[i]];
    }
    return (real)(loss / counted);
}

/* With multiply-adds by the inverse in two parts: as exact as the division that takes longer. */
static void elementwise_gather(int batch, const int32_t *restrict rows, size_t n, const uint16_t *restrict codes,
                               real max_code, real *restrict out) {
    const double inverse = 1 / (double)max_code;
    const real high = (real)inverse, low = (real)(inverse - (double)high);
    for (int i = 0; i < batch; i++, out += n) {
        const uint16_t *restrict row = codes + (size_t)rows[i] * n;
        for (size_t j = 0; j < n; j++) {
#if defined(__FMA__) && !defined(TASK_REAL_DOUBLE)
            out[j] = MUL_ADD((real)row[j], high, (real)row[j] * low);
#else
            (void)high, (void)low;
            out[j] = (real)row[j] / max_code;
#endif
        }
    }
}

#include "math/elementwise_sequence.h" /* cells and attention */

const task_elementwise JOIN(task_elementwise_, TASK_ISA) = {
    .name = TEXT(TASK_ISA),
    .apply = elementwise_apply,
    .apply_grad = elementwise_apply_grad,
    .activate = elementwise_activate,
    .activate_grad = elementwise_activate_grad,
    .cross_entropy = elementwise_cross_entropy,
    .lstm = elementwise_lstm,
    .lstm_grad = elementwise_lstm_grad,
    .gru_gates = elementwise_gru_gates,
    .gru = elementwise_gru,
    .gru_grad = elementwise_gru_grad,
    .gru_gates_grad = elementwise_gru_gates_grad,
    .softmax_columns = elementwise_softmax_columns,
    .softmax_columns_grad = elementwise_softmax_columns_grad,
    .gather = elementwise_gather,
};
