/* SPDX-License-Identifier: Apache-2.0
 *
 * test_init.c - initialisers: moments and tails of many draws, orthogonality, the sampled ones. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "layers/init.h"

enum { ROWS = 50, COLS = 400, N = ROWS * COLS };

/* Standard deviation and largest size of a [5, 10, 400] tensor: fan_in 50. */
static void check(const char *name, task_init init, double std, double largest) {
    static float w[N];
    const float tau[] = {(float)init.kind - TASK_INIT_ORTHOGONAL, (float)init.scale};
    lopt_rng_stream r;
    for (int sampled = 0; sampled <= (init.kind >= TASK_INIT_ORTHOGONAL); sampled++) {
        if (sampled) init.kind = TASK_INIT_SAMPLED;
        lopt_rng_open_stream(&r, (lopt_rng_address){9, LOPT_RNG_TEST, 0, 0, 0});
        task_init_fill(&init, tau, 3, (int64_t[]){5, 10, COLS}, &r, w);
        double sum = 0, squares = 0, most = 0;
        for (int i = 0; i < N; i++) {
            sum += (double)w[i];
            squares += (double)w[i] * (double)w[i];
            most = fmax(most, fabs((double)w[i]));
        }
        double found = sqrt(squares / N);
        cr_assert(fabs(sum / N) < 5 * std / sqrt(N), "%s: mean %g", name, sum / N);
        cr_assert(fabs(found / std - 1) < 0.03, "%s: standard deviation %g, expected %g", name, found, std);
        cr_assert(most > 0.97 * largest && most < 1.0001 * largest, "%s: largest %g, expected %g", name, most, largest);
    }
}

Test(init, moments_and_tails) {
    const double cut = 0.87962566103423978, fan = 50;
    check("default", (task_init){0}, cut / sqrt(fan), 2 / sqrt(fan));
    check("truncated", (task_init){TASK_INIT_TRUNCATED, 0.3, 0}, 0.3 * cut, 0.6);
    check("variance", (task_init){TASK_INIT_VARIANCE, 3, 0}, sqrt(3 / fan), 2 * sqrt(3 / fan) / cut);
    check("xavier", (task_init){TASK_INIT_XAVIER, 0, 0}, sqrt(2 / (fan + COLS)), sqrt(6 / (fan + COLS)));
    check("uniform", (task_init){TASK_INIT_UNIFORM, 1.7, 0}, 1.7 / sqrt(fan), 1.7 * sqrt(3 / fan));
    check("fan uniform", (task_init){TASK_INIT_FAN_UNIFORM, 1.7, 0}, sqrt(1.7 / fan), sqrt(3 * 1.7 / fan));
}

/* No bound, but 20,000 normals reach beyond 3.5 and not beyond 6. */
static void check_normal(task_init init, double std) {
    static float w[N];
    lopt_rng_stream r;
    double squares = 0, most = 0;
    int beyond = 0;
    lopt_rng_open_stream(&r, (lopt_rng_address){10, LOPT_RNG_TEST, 0, 0, 0});
    task_init_fill(&init, NULL, 2, (int64_t[]){ROWS, COLS}, &r, w);
    for (int i = 0; i < N; i++) {
        squares += (double)w[i] * (double)w[i];
        most = fmax(most, fabs((double)w[i]));
        beyond += fabs((double)w[i]) > 2 * std;
    }
    cr_assert(fabs(sqrt(squares / N) / std - 1) < 0.03, "standard deviation %g", sqrt(squares / N));
    cr_assert(most > 3.5 * std && most < 6 * std && abs(beyond - 910) < 150, "%d beyond 2 std", beyond);
}

Test(init, normals) {
    check_normal((task_init){TASK_INIT_NORMAL, 0.02, 0}, 0.02);
    check_normal((task_init){TASK_INIT_FAN_NORMAL, 1.7, 0}, sqrt(1.7 / ROWS));
    check_normal((task_init){TASK_INIT_FAN_NORMAL_AGAIN, 0.6, 0}, sqrt(0.6 / ROWS));
}

/* The shorter side's vectors: lengths c, right angles. Negative numbers are as many as positive ones. */
static void check_orthogonal(int64_t rows, int64_t cols) {
    float *w = malloc((size_t)(rows * cols) * sizeof *w);
    const double c = 1.3;
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){11, LOPT_RNG_TEST, 0, 0, 0});
    task_init_fill(&(task_init){TASK_INIT_ORTHOGONAL, c, 0}, NULL, 2, (int64_t[]){rows, cols}, &r, w);
    int tall = rows >= cols, positive = 0;
    int64_t count = tall ? cols : rows, n = tall ? rows : cols;
    for (int64_t a = 0; a < count; a++) {
        for (int64_t b = 0; b <= a; b++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += tall ? (double)w[i * cols + a] * (double)w[i * cols + b]
                            : (double)w[a * cols + i] * (double)w[b * cols + i];
            cr_assert(fabs(sum - (a == b ? c * c : 0)) < 1e-5, "%d and %d of %d: %g", (int)a, (int)b, (int)count, sum);
        }
    }
    for (int64_t i = 0; i < rows * cols; i++) positive += w[i] > 0;
    cr_assert(fabs(positive / (double)(rows * cols) - 0.5) < 2.5 / sqrt((double)(rows * cols)), "%d positive",
              positive);
    free(w);
}

Test(init, orthogonal) {
    check_orthogonal(60, 20);
    check_orthogonal(20, 300);
    check_orthogonal(40, 40);
    check_orthogonal(300, 290);
}

Test(init, fixed_ones) {
    float w[9];
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){12, LOPT_RNG_TEST, 0, 0, 0});
    task_init_fill(&(task_init){TASK_INIT_IDENTITY, 0, 0}, NULL, 2, (int64_t[]){3, 3}, &r, w);
    for (int i = 0; i < 9; i++) cr_assert(w[i] == (i % 4 == 0));
    task_init_fill(&(task_init){TASK_INIT_CONSTANT, -2.5, 0}, NULL, 1, (int64_t[]){9}, &r, w);
    for (int i = 0; i < 9; i++) cr_assert(w[i] == -2.5f);
}
