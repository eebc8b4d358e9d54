/* SPDX-License-Identifier: Apache-2.0
 *
 * accumulators.h - running averages of the gradients of a tensor, the state of learned optimizers.
 *
 * Three momenta, one second moment, and Adafactor's factored second moments with three decays:
 *
 *     m_k <- beta_k m_k + (1 - beta_k) g                rms <- beta rms + (1 - beta) g^2
 *     R_k <- beta_k R_k + (1 - beta_k) mean over d0 of (g^2 + 1e-30), C_k the same over d1
 *     r_k = safe_rsqrt(R_k / (mean over d1 of R_k + 1e-9)),  c_k = safe_rsqrt(C_k)
 *     not factored: V_k <- beta_k V_k + (1 - beta_k) (g^2 + 1e-30),  factor safe_rsqrt(V_k + 1e-9)
 *
 * safe_rsqrt(x) = 1 / sqrt(max(x, 1e-9)). No bias correction; all start at 0.
 *
 * Layout, by the walk of tensor_layout.h (each array 64-byte aligned):
 *
 *     momentum [outer][rows][3][pitch]     rms [outer][rows][pitch]
 *     lane     [outer][3][pitch]           one value a lane: C if lanes are d0, else R; or V
 *     row      [outer][3][row_pitch]       one value a row:  R if lanes are d0, else C; absent for V */
#ifndef LOPT_ACCUMULATORS_H
#define LOPT_ACCUMULATORS_H

#include "core/optimizer.h"

#define LOPT__K 3 /* momenta, and factored decays */

#define LOPT__GRAD_SQUARE_FLOOR 1e-30f
#define LOPT__RSQRT_FLOOR 1e-9f    /* of safe_rsqrt */
#define LOPT__FACTOR_EPSILON 1e-9f /* added to the mean of R, and to V */

typedef struct lopt__accumulators {
    float *momentum, *rms, *lane, *row;
} lopt__accumulators;

/* tensor_floats of a kind; opt is not used. */
size_t lopt__accumulator_floats(const lopt_optimizer *opt, const lopt__view *view);
lopt__accumulators lopt__accumulators_at(float *data, const lopt__view *view);

/* Decays in effect and their complements, in float as in the published code. */
typedef struct lopt__decays {
    float momentum[LOPT__K], one_minus_momentum[LOPT__K];
    float rms, one_minus_rms;
    float factored[LOPT__K], one_minus_factored[LOPT__K];
} lopt__decays;

/* Decays from [momentum 3, rms 1, factored 3] values: 1 - exp(10 (log(1 - beta) / 10 + offset)), or beta if offset is
 * NULL. rms and factored decays are clipped to [0, 1], those of the momenta if clip_momentum. */
void lopt__set_decays(lopt__decays *out, const float beta[2 * LOPT__K + 1], const float *offset, int clip_momentum);
/* The same from three settings (momentum, rms, factored: indices of hyperparameters), with offsets if theta has the
 * blocks momentum_decays (3), rms_decays (1) and adafactor_decays (3), which are adjacent. */
void lopt__decays_from_settings(lopt__decays *out, const lopt_optimizer *opt, int momentum, int rms, int factored,
                                int clip_momentum);

static inline float *lopt__momentum_row(const lopt__accumulators *a, const lopt__view *v, int64_t outer, int64_t row) {
    return a->momentum + (outer * v->rows + row) * LOPT__K * v->pitch;
}

static inline float *lopt__rms_row(const lopt__accumulators *a, const lopt__view *v, int64_t outer, int64_t row) {
    return a->rms + (outer * v->rows + row) * v->pitch;
}

#endif
