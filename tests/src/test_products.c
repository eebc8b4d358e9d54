/* SPDX-License-Identifier: Apache-2.0
 *
 * test_products.c - matrix products and Newton-Schulz of every kernel table that this machine runs, against
 * plain loops in double, for sizes that fit no tile. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "classical/newton_schulz.h"
#include "kernels/kernels.h"

static const char *const tables[] = {"reference", "portable", "avx2", "avx512"};
enum { N_TABLES = sizeof tables / sizeof tables[0] };

static float *random_matrix(int64_t n, uint32_t seed) {
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    return x;
}

/* c += a b inside wider rows, whose ends must stay. */
static void check_product(int64_t m, int64_t n, int64_t k, const char *table) {
    int64_t lda = k + 3, ldb = n + 1, ldc = n + 2;
    float *a = random_matrix(m * lda, 1), *b = random_matrix(k * ldb, 2), *c = random_matrix(m * ldc, 3);
    float *before = random_matrix(m * ldc, 3);
    lopt__kernels_current()->multiply(m, n, k, a, lda, b, ldb, c, ldc);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < ldc; j++) {
            double right = before[i * ldc + j], magnitude = fabs(right);
            for (int64_t l = 0; l < k && j < n; l++) {
                right += (double)a[i * lda + l] * b[l * ldb + j];
                magnitude += fabs((double)a[i * lda + l] * b[l * ldb + j]);
            }
            cr_assert(fabs(c[i * ldc + j] - right) <= 1.2e-7 * (double)(k + 1) * magnitude * (j < n),
                      "%s, %lldx%lldx%lld, (%lld, %lld): %.9g, right: %.9g", table, (long long)m, (long long)n,
                      (long long)k, (long long)i, (long long)j, (double)c[i * ldc + j], right);
        }
    free(a), free(b), free(c), free(before);
}

Test(products, agree_with_plain_loops) {
    static const int64_t columns[] = {1, 7, 16, 31, 32, 33, 64, 65, 100};
    for (int t = 0; t < N_TABLES; t++) {
        if (lopt_kernels_use(tables[t], NULL) != LOPT_OK) continue;
        for (int64_t m = 1; m <= 13; m++)
            for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
                check_product(m, columns[i], 5 + m, tables[t]);
        check_product(20, 70, 300, tables[t]);
        check_product(3, 70, 300, tables[t]);
    }
}

/* out[rows][cols] = a[rows][inner] b[inner][cols]; b may be given by its transpose. */
static void multiply(int64_t rows, int64_t cols, int64_t inner, const double *a, const double *b, int transposed,
                     double *out) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            out[i * cols + j] = 0;
            for (int64_t l = 0; l < inner; l++)
                out[i * cols + j] += a[i * inner + l] * (transposed ? b[j * inner + l] : b[l * cols + j]);
        }
}

/* As newton_schulz.h says, for any shape: A = X X^T is rows x rows. */
static void plain_newton_schulz(double *x, int64_t rows, int64_t cols, int steps) {
    const float *k = lopt__newton_schulz_published;
    double norm = 0, *A = malloc((size_t)(rows * rows) * sizeof *A), *AA = malloc((size_t)(rows * rows) * sizeof *AA);
    double *Ax = malloc((size_t)(rows * cols) * sizeof *Ax);
    for (int64_t i = 0; i < rows * cols; i++) norm += x[i] * x[i];
    for (int64_t i = 0; i < rows * cols; i++) x[i] /= sqrt(norm);
    for (int s = 0; s < steps; s++) {
        multiply(rows, rows, cols, x, x, 1, A);
        multiply(rows, rows, rows, A, A, 0, AA);
        for (int64_t i = 0; i < rows * rows; i++) A[i] = k[1] * A[i] + k[2] * AA[i];
        multiply(rows, cols, rows, A, x, 0, Ax);
        for (int64_t i = 0; i < rows * cols; i++) x[i] = k[0] * x[i] + Ax[i];
    }
    free(A), free(AA), free(Ax);
}

static void check_newton_schulz(int64_t rows, int64_t cols, const char *table) {
    int64_t n = rows * cols;
    size_t n_scratch = lopt__newton_schulz_scratch(rows, cols);
    float *x = random_matrix(n, 7), *scratch = malloc(n_scratch * sizeof *scratch);
    double *right = malloc((size_t)n * sizeof *right), largest = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) right[i] = x[i];
    memset(scratch, 0xff, n_scratch * sizeof *scratch); /* NaN */
    plain_newton_schulz(right, rows, cols, 5);
    lopt__newton_schulz(x, rows, cols, 5, lopt__newton_schulz_published, 0, scratch);
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(right[i]));
        cr_assert(!isnan(x[i]), "%s, %lldx%lld: NaN", table, (long long)rows, (long long)cols);
        worst = fmax(worst, fabs(x[i] - right[i]));
    }
    cr_assert(worst <= 1e-5 * largest, "%s, %lldx%lld: %g of %g", table, (long long)rows, (long long)cols, worst,
              largest);
    free(x), free(scratch), free(right);
}

Test(products, newton_schulz_agrees_with_its_formula) {
    static const int64_t shapes[][2] = {{1, 1},   {1, 5},   {7, 1},   {3, 17},  {10, 32},  {32, 10},  {64, 32},
                                        {17, 33}, {32, 64}, {48, 50}, {65, 40}, {20, 150}, {150, 140}};
    for (int t = 0; t < N_TABLES; t++) {
        if (lopt_kernels_use(tables[t], NULL) != LOPT_OK) continue;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            check_newton_schulz(shapes[i][0], shapes[i][1], tables[t]);
    }
}

Test(products, what_is_not_finite_shows_in_newton_schulz) {
    for (int t = 0; t < N_TABLES; t++) {
        if (lopt_kernels_use(tables[t], NULL) != LOPT_OK) continue;
        float *x = random_matrix(20 * 33, 1), *scratch = malloc(lopt__newton_schulz_scratch(20, 33) * sizeof *scratch);
        x[40] = NAN;
        lopt__newton_schulz(x, 20, 33, 5, lopt__newton_schulz_published, 0, scratch);
        for (int i = 0; i < 20 * 33; i++) cr_assert(isnan(x[i]), "%s: %d", tables[t], i);
        free(x), free(scratch);
    }
}
