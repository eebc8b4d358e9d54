/* SPDX-License-Identifier: Apache-2.0
 *
 * conditioning.c - clipping by norm and replacing what is not finite.
 *
 * Norms follow PyLO: over all tensors g * c / max(G, c); of one tensor g * min(1, c / (G + 1e-6)). Squares
 * are summed in double. A norm that is NaN makes every gradient NaN, which nan_to_num then makes 0. */
#include "conditioning.h"

#include <float.h>
#include <math.h>

static double sum_of_squares(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static float finite(float x)
{
    if (isnan(x))
        return 0;
    return x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : x;
}

static void scale(const float *in, float factor, int nan_to_num, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = in[i] * factor;
        if (nan_to_num)
            out[i] = finite(out[i]);
    }
}

void lopt__condition(const lopt__conditioning *c, const lopt_state *state, const float *grads, float *out)
{
    float global = 1;
    if (c->clip_norm > 0) {
        float norm = (float)sqrt(sum_of_squares(grads, (int64_t)state->n_params));
        global = norm <= c->clip_norm ? 1 : c->clip_norm / norm;
    }
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        const float *g = grads + t->offset;
        float factor = global;
        if (c->max_grad_norm > 0) {
            float norm = global * (float)sqrt(sum_of_squares(g, t->view.size));
            float own = c->max_grad_norm / (norm + 1e-6f);
            factor *= own > 1 ? 1 : own;
        }
        scale(g, factor, c->nan_to_num, t->view.size, out + t->offset);
    }
}
