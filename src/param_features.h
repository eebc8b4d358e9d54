/* SPDX-License-Identifier: Apache-2.0
 *
 * param_features.h - what small_fc_lopt's network is told of one parameter (Metz et al. 2022, 2203.11860).
 *
 *      0      g                        13-15  R (not factored: V)
 *      1      p                        16-18  C (V again)
 *      2-4    m_k                      19-21  rsqrt(R + 1e-8)  (V)
 *      5      rms                      22-24  rsqrt(C + 1e-8)  (V)
 *      6-8    m_k rsqrt(rms + 1e-6)    25-27  m_k r_k c_k (not factored: m_k (V_k + 1e-6)^-1/2)
 *      9      rsqrt(rms + 1e-6)        28-38  time (time_features.h)
 *      10-12  g r_k c_k (not factored: g safe_rsqrt(V_k + 1e-9))
 *
 * All of them use the accumulators after this step's gradient. 0-27 are normalised over the tensor
 * (normalise.h), time is not. */
#ifndef LOPT_PARAM_FEATURES_H
#define LOPT_PARAM_FEATURES_H

#include "accumulators.h"
#include "time_features.h"

enum {
    LOPT__F_GRAD = 0,
    LOPT__F_PARAM = 1,
    LOPT__F_MOMENTUM = 2,
    LOPT__F_RMS = 5,
    LOPT__F_NORMED_MOMENTUM = 6,
    LOPT__F_RSQRT = 9,
    LOPT__F_FACTORED_GRAD = 10,
    LOPT__F_ROW = 13,
    LOPT__F_COL = 16,
    LOPT__F_ROW_RSQRT = 19,
    LOPT__F_COL_RSQRT = 22,
    LOPT__F_FACTORED_MOMENTUM = 25,
    LOPT__N_NORMALISED = 28,
    LOPT__N_FEATURES = LOPT__N_NORMALISED + LOPT__N_TIME
};

#define LOPT__RMS_EPSILON 1e-6f
#define LOPT__SIDE_EPSILON 1e-8f          /* in features 19-24 */
#define LOPT__UNFACTORED_MOMENTUM_EPSILON 1e-6f

/* All that is known of one parameter. Not factored: R = C = V and the factors differ for g and m. */
typedef struct lopt__point {
    float g, p, m[LOPT__K], rms;
    float R[LOPT__K], C[LOPT__K];
    float g_factor[LOPT__K], m_factor[LOPT__K];
} lopt__point;

void lopt__features(const lopt__point *x, float out[LOPT__N_NORMALISED]);

#endif
