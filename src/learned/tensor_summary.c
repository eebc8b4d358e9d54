/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_summary.c - see tensor_summary.h. */
#include "learned/tensor_summary.h"

#include <math.h>

#define LANES 4 /* independent partial sums */

lopt__summary lopt__summarise_tensor(const float *x, int64_t n) {
    double sum[LANES] = {0}, sum_abs[LANES] = {0}, sum_square[LANES] = {0};
    for (int64_t i = 0; i < n; i += LANES)
        for (int k = 0; k < LANES && i + k < n; k++) {
            double v = x[i + k];
            sum[k] += v;
            sum_abs[k] += fabs(v);
            sum_square[k] += v * v;
        }
    for (int k = 1; k < LANES; k++) {
        sum[0] += sum[k];
        sum_abs[0] += sum_abs[k];
        sum_square[0] += sum_square[k];
    }
    double mean = sum[0] / (double)n, mean_square = sum_square[0] / (double)n;
    double variance = mean_square - mean * mean; /* rounding may give slightly less than 0 */
    return (lopt__summary){.mean = (float)mean,
                           .mean_abs = (float)(sum_abs[0] / (double)n),
                           .mean_square = (float)mean_square,
                           .variance = variance < 0 ? 0 : (float)variance,
                           .norm = (float)sqrt(sum_square[0])};
}
