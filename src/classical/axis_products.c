/* SPDX-License-Identifier: Apache-2.0
 *
 * axis_products.c - see axis_products.h. The innermost loop runs along memory: over inner, or over the axis itself if
 * it is the last. */
#include "classical/axis_products.h"

#include <string.h>

#define N_PARTIAL 16

lopt__axis lopt__axis_of(int rank, const int64_t *dim, int a) {
    lopt__axis axis = {1, dim[a], 1};
    for (int b = 0; b < a; b++) axis.outer *= dim[b];
    for (int b = a + 1; b < rank; b++) axis.inner *= dim[b];
    return axis;
}

static float dot_of_floats(int64_t n, const float *restrict x, const float *restrict y) {
    float sum[N_PARTIAL] = {0}, total = 0;
    int64_t i = 0;
    for (; i + N_PARTIAL <= n; i += N_PARTIAL)
        for (int k = 0; k < N_PARTIAL; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < n; i++) total += x[i] * y[i];
    for (int k = 0; k < N_PARTIAL; k++) total += sum[k];
    return total;
}

static void add_scaled_floats(int64_t n, float factor, const float *restrict x, float *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] += factor * x[i];
}

void lopt__multiply_axis(const lopt__axis *axis, const float *x, const float *matrix, int transposed, float *y) {
    const int64_t n = axis->size, inner = axis->inner;
    for (int64_t o = 0; o < axis->outer; o++, x += n * inner, y += n * inner) {
        memset(y, 0, (size_t)(n * inner) * sizeof *y);
        for (int64_t j = 0; j < n; j++) {
            if (inner == 1 && transposed) add_scaled_floats(n, x[j], matrix + j * n, y);
            if (inner == 1 && !transposed) y[j] = dot_of_floats(n, matrix + j * n, x);
            for (int64_t k = 0; k < n && inner > 1; k++)
                add_scaled_floats(inner, matrix[transposed ? k * n + j : j * n + k], x + k * inner, y + j * inner);
        }
    }
}

void lopt__average_gram(const lopt__axis *axis, const float *x, float decay, float weight, float *gram) {
    const int64_t n = axis->size, inner = axis->inner;
    for (int64_t k = 0; k < n * n; k++) gram[k] *= decay;
    for (int64_t o = 0; o < axis->outer; o++, x += n * inner)
        for (int64_t j = 0; j < n; j++) {
            if (inner == 1) add_scaled_floats(n, weight * x[j], x, gram + j * n);
            for (int64_t k = 0; k < n && inner > 1; k++)
                gram[j * n + k] += weight * dot_of_floats(inner, x + j * inner, x + k * inner);
        }
}
