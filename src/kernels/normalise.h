/* SPDX-License-Identifier: Apache-2.0
 *
 * normalise.h - second-moment normalisation: each feature is divided by its root mean square over
 * the tensor (Celo2: over the last two axes), x rsqrt(epsilon + mean x^2). Each feature has
 * its own. */
#ifndef LOPT_NORMALISE_H
#define LOPT_NORMALISE_H

#include <math.h>
#include <stdint.h>

#define LOPT__NORMALISE_EPSILON 1e-5f

static inline float lopt__normalising_factor(float epsilon, float mean_square) {
    return 1.0f / sqrtf(epsilon + mean_square);
}

/* Sum of x^2: in float within blocks of 256 (sixteen partial sums), in double over blocks. */
static inline double lopt__sum_of_squares(const float *x, int64_t n) {
    double total = 0;
    while (n > 0) {
        int64_t end = n < 256 ? n : 256, i = 0;
        float sum[16] = {0};
        for (; i + 16 <= end; i += 16)
            for (int k = 0; k < 16; k++) sum[k] += x[i + k] * x[i + k];
        for (int k = 0; i < end; i++, k++) sum[k] += x[i] * x[i];
        for (int k = 0; k < 16; k++) total += (double)sum[k];
        x += end;
        n -= end;
    }
    return total;
}

#endif
