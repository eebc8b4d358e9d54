/* SPDX-License-Identifier: Apache-2.0
 *
 * log_magnitude.h - how recurrent learned optimizers are told a number whose size may be anything:
 * its logarithm, kept in [-5, 5]. VeLO takes half of it, of ten times the number; NNAdam half of
 * it; RNNMLPLOpt the whole. */
#ifndef LOPT_LOG_MAGNITUDE_H
#define LOPT_LOG_MAGNITUDE_H

#include <math.h>

static inline float lopt__log_magnitude(float x) {
    float y = logf(1e-8f + fabsf(x));
    return y > 5 ? 5 : y < -5 ? -5 : y; /* NaN stays NaN */
}

#endif
