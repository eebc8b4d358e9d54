/* SPDX-License-Identifier: Apache-2.0
 *
 * param_features.c - the features of one parameter, in order. */
#include "kernels/param_features.h"

#include <math.h>

void lopt__make_features(const lopt__pipeline *pipeline, const lopt__point *x, float *out) {
    float rsqrt = 1.0f / sqrtf(x->rms + pipeline->rms_epsilon);
    out[LOPT__F_GRAD] = x->g;
    out[LOPT__F_PARAM] = x->p;
    out[LOPT__F_RMS] = x->rms;
    out[LOPT__F_RSQRT] = rsqrt;
    for (int k = 0; k < LOPT__K; k++) {
        out[LOPT__F_MOMENTUM + k] = x->m[k];
        out[LOPT__F_NORMED_MOMENTUM + k] = x->m[k] * rsqrt;
        out[LOPT__F_FACTORED_GRAD + k] = x->g * x->g_factor[k];
        out[LOPT__F_ROW + k] = x->R[k];
        out[LOPT__F_COL + k] = x->C[k];
        out[LOPT__F_ROW_RSQRT + k] = 1.0f / sqrtf(x->R[k] + LOPT__SIDE_EPSILON);
        out[LOPT__F_COL_RSQRT + k] = 1.0f / sqrtf(x->C[k] + LOPT__SIDE_EPSILON);
        out[LOPT__F_FACTORED_MOMENTUM + k] = x->m[k] * x->m_factor[k];
    }
    if (pipeline->n_features == LOPT__N_EXTENDED) {
        out[LOPT__F_CLIPPED_GRAD] = lopt__clip_to_limit(x->g, LOPT__CLIPPED_GRAD);
        out[LOPT__F_NORMED_GRAD] = x->g * rsqrt;
    }
}
