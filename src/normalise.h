/* SPDX-License-Identifier: Apache-2.0
 *
 * normalise.h - second-moment normalisation: each feature is divided by its root mean square over the
 * tensor (Celo2: over the last two axes), x rsqrt(epsilon + mean x^2). Features are never mixed. */
#ifndef LOPT_NORMALISE_H
#define LOPT_NORMALISE_H

#include <math.h>

#define LOPT__NORMALISE_EPSILON 1e-5f

static inline float lopt__normaliser(float epsilon, float mean_square)
{
    return 1.0f / sqrtf(epsilon + mean_square);
}

#endif
