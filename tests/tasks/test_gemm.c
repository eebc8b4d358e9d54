/* SPDX-License-Identifier: Apache-2.0
 *
 * test_gemm.c - matrix products against three plain loops in double, for sizes that fit no tile. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/gemm.h"
#include "rng/rng.h"

static float *random_matrix(size_t n, uint64_t seed) {
    float *m = malloc(n * sizeof *m);
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_TEST, 0, 0, 0});
    lopt_rng_fill_normals(&r, n, m);
    return m;
}

/* One element of the product in double; *magnitude is the sum of the absolute terms. */
static double element(const task_gemm *g, const float *a, const float *b, int i, int j, double *magnitude) {
    double sum = 0;
    *magnitude = 0;
    for (int k = 0; k < g->depth; k++) {
        double left = g->kind == TASK_GEMM_NN ? a[i * g->depth + k] : a[k * g->rows + i];
        double term = left * (double)b[k * g->cols + j];
        sum += term;
        *magnitude += fabs(term);
    }
    return sum;
}

static void check(const task_gemm *g, const char *kernel) {
    size_t rows = (size_t)g->rows, cols = (size_t)g->cols, depth = (size_t)g->depth;
    float *a = random_matrix(rows * depth, 1), *b = random_matrix(depth * cols, 2);
    float *c = malloc((rows * cols + 1) * sizeof *c), *again = malloc(rows * cols * sizeof *again);
    for (size_t i = 0; i <= rows * cols; i++) c[i] = NAN; /* overwritten, not added to */
    task_gemm_run(g, a, b, c);
    task_gemm_run(g, a, b, again);
    cr_assert(isnan(c[rows * cols]), "%s writes beyond its result", kernel);
    cr_assert(memcmp(c, again, rows * cols * sizeof *c) == 0, "%s: two runs differ", kernel);
    for (int i = 0; i < g->rows; i++) {
        for (int j = 0; j < g->cols; j++) {
            double magnitude, right = element(g, a, b, i, j, &magnitude);
            double bound = 1.2e-7 * (g->depth + 2) * magnitude;
            cr_assert(fabs((double)c[i * g->cols + j] - right) <= bound,
                      "%s kind %d %dx%dx%d [%d,%d]: %.9g, right: %.9g", kernel, (int)g->kind, g->rows, g->cols,
                      g->depth, i, j, (double)c[i * g->cols + j], right);
        }
    }
    free(a), free(b), free(c), free(again);
}

static const int sizes[][3] = {
    {64, 32, 64}, {64, 10, 32}, {32, 10, 64}, {1, 1, 1},     {1, 7, 3},     {5, 1, 9},       {3, 17, 2},
    {13, 16, 33}, {65, 31, 15}, {2, 100, 64}, {128, 47, 61}, {100, 128, 1}, {512, 300, 500},
};

Test(gemm, agrees_with_plain_loops) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int kind = TASK_GEMM_NN; kind <= TASK_GEMM_TN; kind++) {
            task_gemm g = task_gemm_plan((task_gemm_kind)kind, sizes[i][0], sizes[i][1], sizes[i][2]);
            check(&g, g.kernel ? "libxsmm" : "cblas");
            g.kernel = NULL;
            check(&g, "cblas");
        }
    }
}

Test(gemm, counts_two_operations_a_product) {
    task_gemm g = task_gemm_plan(TASK_GEMM_NN, 64, 32, 64);
    cr_assert(task_gemm_flops(&g) == 2.0 * 64 * 32 * 64, "%g", task_gemm_flops(&g));
}
