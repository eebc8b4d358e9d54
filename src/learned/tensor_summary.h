/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_summary.h - statistics of a tensor, for recurrent optimizers with a row per tensor (NNAdam,
 * RNNMLPLOpt). Sums are in double, in a fixed order. */
#ifndef LOPT_TENSOR_SUMMARY_H
#define LOPT_TENSOR_SUMMARY_H

#include <stdint.h>

typedef struct lopt__summary {
    float mean, mean_abs, mean_square;
    float variance; /* mean of (x - mean)^2 */
    float norm;     /* square root of the sum of squares */
} lopt__summary;

lopt__summary lopt__summarise_tensor(const float *x, int64_t n); /* n >= 1 */

#endif
