/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient_clipping.h - clipping of gradients before the optimizer uses them. */
#ifndef LOPT_CONDITIONING_H
#define LOPT_CONDITIONING_H

#include "core/optimizer.h"

typedef struct lopt__conditioning {
    float clip_norm;     /* maximum norm over all tensors; 0: off */
    float max_grad_norm; /* maximum norm of each tensor; 0: off */
    int nan_to_num;      /* NaN -> 0, +-inf -> +-FLT_MAX, after clipping */
} lopt__conditioning;

static inline int lopt__has_conditioning(const lopt__conditioning *c) {
    return c->clip_norm > 0 || c->max_grad_norm > 0 || c->nan_to_num;
}

/* Writes the clipped gradients of all tensors to out[n_params]. */
void lopt__condition_gradients(const lopt__conditioning *c, const lopt_state *state, const float *grads, float *out);

#endif
