/* SPDX-License-Identifier: Apache-2.0
 *
 * log_magnitude.h - how recurrent learned optimizers are told a number whose size may be anything:
 * its logarithm, kept in [-5, 5]. VeLO takes half of it, of ten times the number; NNAdam half of
 * it; RNNMLPLOpt the whole. In double, for recurrent networks magnify what they are told. */
#ifndef LOPT_LOG_MAGNITUDE_H
#define LOPT_LOG_MAGNITUDE_H

#include <math.h>

static inline double lopt__log_magnitude(double x) {
    double y = log(1e-8 + fabs(x));
    return y > 5 ? 5 : y < -5 ? -5 : y; /* NaN stays NaN */
}

#endif
