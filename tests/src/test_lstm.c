/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrent cell and the matrix products under it: every kernel table against double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "learned/lstm.h"

static const char *const tables[] = {"reference", "portable", "avx2", "avx512"};
enum { N_TABLES = sizeof tables / sizeof tables[0] };

static void waves(float *out, size_t n, double a, double phase) {
    for (size_t k = 0; k < n; k++) out[k] = (float)(a * sin(0.37 * (double)k + phase));
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

enum { ROWS = 3, INPUTS = 7, SIZE = 5, GATES = 4 * SIZE };

/* One cell in double: gates in the order i, g, f, o, and 1 added to f. */
static void cell_in_double(const float *w, const float *b, const float *x, int unit, double *hidden, double *cell,
                           const double *old) {
    double z[4];
    for (int gate = 0; gate < 4; gate++) {
        int column = gate * SIZE + unit;
        z[gate] = b[column];
        for (int i = 0; i < INPUTS; i++) z[gate] += (double)x[i] * w[i * GATES + column];
        for (int i = 0; i < SIZE; i++) z[gate] += old[i] * w[(INPUTS + i) * GATES + column];
    }
    *cell = sigmoid(z[2] + 1) * *cell + sigmoid(z[0]) * tanh(z[1]);
    *hidden = sigmoid(z[3]) * tanh(*cell);
}

static void check_cell(const char *table) {
    float w[(INPUTS + SIZE) * GATES], b[GATES], x[ROWS * INPUTS], hidden[ROWS * SIZE], cell[ROWS * SIZE];
    float scratch[ROWS * (INPUTS + SIZE + GATES)];
    double exact_hidden[ROWS * SIZE], exact_cell[ROWS * SIZE], old[SIZE];
    waves(w, sizeof w / sizeof *w, 0.8, 1);
    waves(b, GATES, 0.5, 2);
    waves(hidden, ROWS * SIZE, 0.9, 3);
    waves(cell, ROWS * SIZE, 1.5, 4);
    for (int i = 0; i < ROWS * SIZE; i++) {
        exact_hidden[i] = hidden[i];
        exact_cell[i] = cell[i];
    }
    lopt__linear gates = {INPUTS + SIZE, GATES, w, b};
    for (int t = 0; t < 4; t++) {
        waves(x, ROWS * INPUTS, 1, t);
        lopt__lstm_step(&gates, ROWS, x, hidden, cell, scratch);
        for (int r = 0; r < ROWS; r++) {
            memcpy(old, exact_hidden + r * SIZE, sizeof old);
            for (int u = 0; u < SIZE; u++)
                cell_in_double(w, b, x + r * INPUTS, u, &exact_hidden[r * SIZE + u], &exact_cell[r * SIZE + u], old);
        }
    }
    for (int i = 0; i < ROWS * SIZE; i++)
        cr_assert(fabs(hidden[i] - exact_hidden[i]) < 2e-6 && fabs(cell[i] - exact_cell[i]) < 2e-6,
                  "%s, %d: hidden %g (%g), cell %g (%g)", table, i, (double)hidden[i], exact_hidden[i], (double)cell[i],
                  exact_cell[i]);
}

Test(lstm, cell_in_double) {
    for (int i = 0; i < N_TABLES; i++)
        if (lopt_kernels_use(tables[i], NULL) == LOPT_OK) check_cell(tables[i]);
}

/* ---- sigmoid and tanh ------------------------------------------------------------------------ */

enum { UNITS = 37 }; /* whole vectors and a part of one */
#define MANY_ULP 5
#define OPEN 40   /* sigmoid(OPEN) is 1 in float and in double */
#define SHUT -200 /* sigmoid(SHUT) is below any float */

/* cell <- sigmoid(x) (through the forget gate) or tanh(x), of UNITS numbers. */
static void through_cell(int is_tanh, const float *x, float *hidden, float *cell) {
    float gates[4 * UNITS];
    for (int k = 0; k < UNITS; k++) {
        gates[k] = is_tanh ? OPEN : SHUT;
        gates[UNITS + k] = is_tanh ? x[k] : 0;
        gates[2 * UNITS + k] = is_tanh ? SHUT : x[k] - 1;
        gates[3 * UNITS + k] = OPEN;
        cell[k] = 1;
    }
    lopt__kernels_current()->lstm_cell(1, UNITS, gates, hidden, cell);
}

static double ulps(float x, double exact) {
    return fabs(x - exact) / (fabs(exact) * 0x1p-23);
}

/* Numbers of a range, those of a sigmoid in steps of 2^-12, so that x - 1 + 1 is x. */
static void check_range(const char *table, int is_tanh, double first, double step, int n) {
    float x[UNITS], hidden[UNITS], cell[UNITS];
    double worst = 0;
    for (int at = 0; at < n; at += UNITS) {
        for (int k = 0; k < UNITS; k++) x[k] = (float)(first + step * (at + k));
        through_cell(is_tanh, x, hidden, cell);
        for (int k = 0; k < UNITS; k++) {
            double exact = is_tanh ? tanh(x[k]) : sigmoid(x[k]);
            worst = fmax(worst, fmax(ulps(cell[k], exact), ulps(hidden[k], tanh(cell[k]))));
        }
    }
    cr_assert(worst < MANY_ULP, "%s, %s from %g: off by %.1f units in the last place", table,
              is_tanh ? "tanh" : "sigmoid", first, worst);
}

Test(lstm, sigmoid_and_tanh_to_the_last_digits) {
    for (int i = 0; i < N_TABLES; i++) {
        if (lopt_kernels_use(tables[i], NULL) != LOPT_OK) continue;
        check_range(tables[i], 0, -60, 0x1p-9, 60000);
        check_range(tables[i], 1, -12, 0x1p-11, 49000);
        check_range(tables[i], 1, 0.999e-3, 1e-6, 5000);
        check_range(tables[i], 1, 1e-30, 1e-33, 100);
    }
}

Test(lstm, what_is_not_finite_passes_through_the_cell) {
    const float given[] = {INFINITY, -INFINITY, 100, -100, 3e38f, -3e38f};
    const float exact[2][6] = {{1, 0, 1, 0, 1, 0}, {1, -1, 1, -1, 1, -1}};
    float x[UNITS] = {0}, hidden[UNITS], cell[UNITS];
    memcpy(x, given, sizeof given);
    x[UNITS - 1] = NAN;
    for (int i = 0; i < N_TABLES; i++) {
        if (lopt_kernels_use(tables[i], NULL) != LOPT_OK) continue;
        for (int is_tanh = 0; is_tanh < 2; is_tanh++) {
            through_cell(is_tanh, x, hidden, cell);
            for (int k = 0; k < 6; k++)
                cr_assert(fabsf(cell[k] - exact[is_tanh][k]) < 1e-30f, "%s: %g of %g", tables[i], (double)cell[k],
                          (double)x[k]);
            cr_assert(isnan(cell[UNITS - 1]) && isnan(hidden[UNITS - 1]), "%s", tables[i]);
        }
    }
}

/* ---- products -------------------------------------------------------------------------------- */

/* c += a b with rows further apart than they are long; what lies between is not touched. */
static void check_product(const char *table, int m, int n, int k) {
    int lda = k + 1, ldb = n + 3, ldc = n + 2;
    float *a = malloc((size_t)(m * lda) * sizeof *a), *b = malloc((size_t)(k * ldb) * sizeof *b);
    float *c = malloc((size_t)(m * ldc) * sizeof *c), *old = malloc((size_t)(m * ldc) * sizeof *c);
    waves(a, (size_t)(m * lda), 1, 0.5);
    waves(b, (size_t)(k * ldb), 1, 1.5);
    waves(c, (size_t)(m * ldc), 1, 2.5);
    memcpy(old, c, (size_t)(m * ldc) * sizeof *c);
    lopt__kernels_current()->multiply(m, n, k, a, lda, b, ldb, c, ldc);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < ldc; j++) {
            double exact = old[i * ldc + j], sum = fabs(exact);
            for (int l = 0; l < k && j < n; l++) {
                exact += (double)a[i * lda + l] * b[l * ldb + j];
                sum += fabs((double)a[i * lda + l] * b[l * ldb + j]);
            }
            cr_assert(fabs(c[i * ldc + j] - exact) <= 1e-6 * (1 + sum) && (j < n || c[i * ldc + j] == old[i * ldc + j]),
                      "%s %dx%dx%d at %d, %d: %.9g, exactly %.9g", table, m, n, k, i, j, (double)c[i * ldc + j], exact);
        }
    free(a);
    free(b);
    free(c);
    free(old);
}

Test(lstm, products_of_any_shape) {
    static const int rows[] = {1, 2, 3, 8, 9, 13, 25, 50}, columns[] = {1, 3, 15, 16, 17, 32, 47, 100, 256};
    for (int i = 0; i < N_TABLES; i++) {
        if (lopt_kernels_use(tables[i], NULL) != LOPT_OK) continue;
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
                check_product(tables[i], rows[r], columns[c], 1);
                check_product(tables[i], rows[r], columns[c], 37);
            }
        check_product(tables[i], 26, 40, 300);
        check_product(tables[i], 1, 200, 129);
    }
}

/* A row's result does not depend on the rows beside it: the order of tensors changes no bit. */
Test(lstm, rows_are_independent) {
    enum { N = 21, K = 150, COLUMNS = 37 };
    static float a[N * K], b[K * COLUMNS], all[N * COLUMNS], one[COLUMNS];
    waves(a, N * K, 1, 0.1);
    waves(b, K * COLUMNS, 1, 0.2);
    for (int i = 0; i < N_TABLES; i++) {
        if (lopt_kernels_use(tables[i], NULL) != LOPT_OK) continue;
        memset(all, 0, sizeof all);
        lopt__kernels_current()->multiply(N, COLUMNS, K, a, K, b, COLUMNS, all, COLUMNS);
        for (int r = 0; r < N; r++) {
            memset(one, 0, sizeof one);
            lopt__kernels_current()->multiply(1, COLUMNS, K, a + r * K, K, b, COLUMNS, one, COLUMNS);
            cr_assert(memcmp(one, all + r * COLUMNS, sizeof one) == 0, "%s, row %d", tables[i], r);
        }
    }
}
