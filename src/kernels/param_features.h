/* SPDX-License-Identifier: Apache-2.0
 *
 * param_features.h - input features of one parameter (Metz et al. 2022, 2203.11860).
 *
 *      0      g                        13-15  R (not factored: V)
 *      1      p                        16-18  C (V again)
 *      2-4    m_k                      19-21  rsqrt(R + 1e-8)  (V)
 *      5      rms                      22-24  rsqrt(C + 1e-8)  (V)
 *      6-8    m_k rsqrt(rms + 1e-6)    25-27  m_k r_k c_k (not factored: m_k (V_k + 1e-6)^-1/2)
 *      9      rsqrt(rms + 1e-6)        28-38  time (time_features.h)
 *      10-12  g r_k c_k (not factored: g safe_rsqrt(V_k + 1e-9))
 *
 * These are the inputs of small_fc_lopt. VeLO, Celo and Celo2 have no time features, but
 *
 *      28     g clipped to +-0.1       29     g rsqrt(rms + 1e-6)
 *
 * The accumulators already include this step's gradient. All features but time are normalised over the tensor or
 * over slices of it (normalise.h). Epsilons differ between optimizers: lopt__pipeline. */
#ifndef LOPT_PARAM_FEATURES_H
#define LOPT_PARAM_FEATURES_H

#include "kernels/accumulators.h"
#include "kernels/time_features.h"

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
    LOPT__N_FEATURES = LOPT__N_NORMALISED + LOPT__N_TIME,
    LOPT__F_CLIPPED_GRAD = 28,
    LOPT__F_NORMED_GRAD = 29,
    LOPT__N_EXTENDED = 30
};

#define LOPT__SIDE_EPSILON 1e-8f /* in features 19-24 */
#define LOPT__CLIPPED_GRAD 0.1f  /* in feature 28 */

/* How features are computed; constant for an optimizer. */
typedef struct lopt__pipeline {
    int n_features;         /* normalised ones: LOPT__N_NORMALISED or LOPT__N_EXTENDED */
    float grad_limit;       /* gradients are clipped to +-this first; INFINITY: no clipping */
    float rms_epsilon;      /* in rsqrt(rms + epsilon) */
    float momentum_epsilon; /* in m_k (V_k + epsilon)^-1/2, not factored */
    float normalise_epsilon;
} lopt__pipeline;

/* Quantities of one parameter. Not factored: R = C = V, and the factors of g and m differ. */
typedef struct lopt__point {
    float g, p, m[LOPT__K], rms;
    float R[LOPT__K], C[LOPT__K];
    float g_factor[LOPT__K], m_factor[LOPT__K];
} lopt__point;

/* out[pipeline->n_features] */
void lopt__make_features(const lopt__pipeline *pipeline, const lopt__point *x, float *out);

static inline float lopt__clip_to_limit(float x, float limit) {
    return x > limit ? limit : x < -limit ? -limit : x; /* NaN stays NaN */
}

#endif
