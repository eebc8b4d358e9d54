/* SPDX-License-Identifier: Apache-2.0
 *
 * test_elementwise.c - activations, softmax and their gradients, in every build that this machine
 * can run, against formulas in double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/elementwise.h"
#include "rng/rng.h"

enum { MAX_ROWS = 70, MAX_COLS = 40, MAX = MAX_ROWS * MAX_COLS };
static const int sizes[][2] = {{64, 32}, {64, 10}, {1, 1}, {3, 5}, {7, 17}, {70, 40}, {33, 2}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };
static const char *const names[] = {"portable", "avx2", "avx512"};

static double activation(int act, double x) {
    if (act == TASK_RELU) return x > 0 ? x : 0;
    if (act == TASK_TANH) return tanh(x);
    if (act == TASK_GELU) return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    if (act == TASK_RELU6) return fmin(fmax(x, 0), 6);
    if (act == TASK_SIGMOID) return 1 / (1 + exp(-x));
    if (act == TASK_SILU) return x / (1 + exp(-x));
    if (act == TASK_SELU) return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    if (act == TASK_COS) return cos(x);
    if (act == TASK_SIN) return sin(x);
    if (act == TASK_LEAKY_RELU) return x > 0 ? x : 0.01 * x;
    if (act == TASK_FOLDED_RELU) return x > 0 ? x : -0.5 * x;
    if (act == TASK_ELU) return x > 0 ? x : expm1(x);
    return x;
}

/* Central difference: independent of the formula under test. */
static double slope(int act, double x) {
    if (act == TASK_RELU) return x > 0;
    const double h = 1e-5;
    return (activation(act, x + h) - activation(act, x - h)) / (2 * h);
}

static void fill(uint64_t seed, float scale, int n, float *out) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_TEST, 0, 0, 0});
    lopt_rng_fill_normals(&r, (size_t)n, out);
    for (int i = 0; i < n; i++) out[i] *= scale;
}

static void check_activation(const task_elementwise *e, int act, int rows, int cols, float scale) {
    static float sum[MAX], z[MAX], y[MAX], dy[MAX], dz[MAX], bias[MAX_COLS], bias_grad[MAX_COLS];
    fill(1, scale, rows * cols, z);
    fill(2, 1, cols, bias);
    fill(3, 1, rows * cols, dy);
    memcpy(y, z, sizeof y);
    memcpy(dz, dy, sizeof dz);
    for (int i = 0; i < rows * cols; i++) sum[i] = z[i] + bias[i % cols];
    e->activate(act, rows, cols, bias, z, y);
    e->activate_grad(act, rows, cols, z, y, dz, bias_grad);
    double column[MAX_COLS] = {0};
    for (int i = 0; i < rows * cols; i++) {
        double right = activation(act, (double)sum[i]), grad = (double)dy[i] * slope(act, (double)sum[i]);
        cr_assert(fabs((double)y[i] - right) <= 5e-7 * (1 + fabs(right)), "%s activation %d of %g: %.9g, right: %.9g",
                  e->name, act, (double)sum[i], (double)y[i], right);
        cr_assert(fabs((double)dz[i] - grad) <= 2e-6 * (1 + fabs(grad)), "%s slope %d at %g: %.9g, right: %.9g",
                  e->name, act, (double)sum[i], (double)dz[i], grad);
        column[i % cols] += (double)dz[i];
    }
    for (int j = 0; j < cols; j++) {
        cr_assert(fabs((double)bias_grad[j] - column[j]) <= 1e-5 * rows, "%s bias %d: %.9g, right: %.9g", e->name, j,
                  (double)bias_grad[j], column[j]);
    }
}

Test(elementwise, activations_and_slopes) {
    static const float scales[] = {0.01f, 1, 30};
    for (int k = 0; k < 3; k++) {
        const task_elementwise *e = task_elementwise_find(names[k]);
        if (!e) continue;
        for (int act = TASK_LINEAR; act < TASK_N_ACTIVATIONS; act++) {
            for (int s = 0; s < N_SIZES; s++) {
                for (int i = 0; i < 3; i++) check_activation(e, act, sizes[s][0], sizes[s][1], scales[i]);
            }
        }
    }
}

static void check_cross_entropy(const task_elementwise *e, int rows, int classes, float scale) {
    static float z[MAX], dz[MAX], scratch[MAX + 2 * MAX_ROWS];
    int32_t labels[MAX_ROWS];
    fill(4, scale, rows * classes, z);
    for (int i = 0; i < rows; i++) labels[i] = (i * 7) % classes;
    double loss = (double)e->cross_entropy(rows, classes, z, labels, scratch, dz), right = 0;
    double alone = (double)e->cross_entropy(rows, classes, z, labels, scratch, NULL);
    for (int i = 0; i < rows; i++) {
        double max = -INFINITY, sum = 0;
        for (int c = 0; c < classes; c++) max = fmax(max, (double)z[i * classes + c]);
        for (int c = 0; c < classes; c++) sum += exp((double)z[i * classes + c] - max);
        right += (max + log(fmax(sum, 1)) - (double)z[i * classes + labels[i]]) / rows;
        for (int c = 0; c < classes; c++) {
            double grad = (exp((double)z[i * classes + c] - max) / sum - (c == labels[i])) / rows;
            cr_assert(fabs((double)dz[i * classes + c] - grad) <= 5e-7 / rows, "%s dz %d,%d: %.9g, right: %.9g",
                      e->name, i, c, (double)dz[i * classes + c], grad);
        }
    }
    cr_assert(fabs(loss - right) <= 3e-7 * (1 + right), "%s %dx%d: loss %.9g, right: %.9g", e->name, rows, classes,
              loss, right);
    cr_assert(alone == loss, "%s: the loss differs without its gradient", e->name);
}

Test(elementwise, cross_entropy) {
    static const float scales[] = {0.1f, 3, 100};
    for (int k = 0; k < 3; k++) {
        const task_elementwise *e = task_elementwise_find(names[k]);
        if (!e) continue;
        for (int s = 0; s < N_SIZES; s++) {
            for (int i = 0; i < 3; i++) check_cross_entropy(e, sizes[s][0], sizes[s][1], scales[i]);
        }
    }
}

Test(elementwise, what_diverged_stays_visible) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 3; k++) {
        const task_elementwise *e = task_elementwise_find(names[k]);
        if (!e) continue;
        for (int b = 0; b < 3; b++) {
            float z[40] = {0}, dz[40], scratch[48], y[3] = {bad[b], bad[b], bad[b]}, bias[3] = {0};
            int32_t labels[4] = {0, 1, 2, 3};
            z[21] = bad[b];
            float loss = e->cross_entropy(4, 10, z, labels, scratch, dz);
            cr_assert(b == 2 || !isfinite(loss), "%s: loss %g with a logit of %g", e->name, (double)loss,
                      (double)bad[b]);
            for (int act = TASK_LINEAR; act < TASK_N_ACTIVATIONS; act++) {
                float v[3] = {y[0], y[1], y[2]};
                e->activate(act, 1, 3, bias, v, v);
                cr_assert(b > 0 || isnan(v[1]), "%s: activation %d hides NaN", e->name, act);
            }
        }
    }
}

Test(elementwise, one_table_is_always_there) {
    cr_assert(task_elementwise_find("portable") != NULL);
    cr_assert(task_elementwise_find("sse9") == NULL);
    cr_assert(task_elementwise_best() == task_elementwise_find(task_elementwise_best()->name));
}
