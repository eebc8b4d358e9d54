/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient_clipping.h - clipping of gradients before the optimizer uses them. */
#ifndef LOPT_GRADIENT_CLIPPING_H
#define LOPT_GRADIENT_CLIPPING_H

#include "core/optimizer.h"

typedef struct lopt__clipping {
    float clip_norm;     /* maximum norm over all tensors; 0: off */
    float max_grad_norm; /* maximum norm of each tensor; 0: off */
    int nan_to_num;      /* NaN -> 0, +-inf -> +-FLT_MAX, after clipping */
} lopt__clipping;

static inline int lopt__has_clipping(const lopt__clipping *c) {
    return c->clip_norm > 0 || c->max_grad_norm > 0 || c->nan_to_num;
}

/* Writes the clipped gradients of all tensors to out[n_params]. */
void lopt__clip_gradients(const lopt__clipping *c, const lopt_state *state, const float *grads, float *out);

#endif
