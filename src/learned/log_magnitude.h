/* SPDX-License-Identifier: Apache-2.0
 *
 * log_magnitude.h - inputs of recurrent learned optimizers whose magnitude varies widely: the logarithm,
 * clipped to [-5, 5]. VeLO uses half of that of 10 x; NNAdam half of that of x; RNNMLPLOpt that of x. In double,
 * because recurrent networks amplify errors of their inputs. */
#ifndef LOPT_LOG_MAGNITUDE_H
#define LOPT_LOG_MAGNITUDE_H

#include <math.h>

static inline double lopt__log_magnitude(double x) {
    double y = log(1e-8 + fabs(x));
    return y > 5 ? 5 : y < -5 ? -5 : y; /* NaN stays NaN */
}

#endif
