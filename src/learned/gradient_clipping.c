/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient_clipping.c - clipping by norm and replacing what is not finite.
 *
 * Norms follow PyLO: over all tensors g * c / max(G, c); of one tensor g * min(1, c / (G + 1e-6)). Squares
 * are summed in double. A NaN norm makes every gradient NaN, which nan_to_num then turns into 0. */
#include "learned/gradient_clipping.h"

#include <float.h>
#include <math.h>

#include "core/chunks.h"

/* Work of the threads: sums of squares, or scaling. */
typedef struct sweep {
    const float *in;
    int64_t n;
    double sum[LOPT__MAX_CHUNKS];
    float factor, *out;
    int nan_to_num;
} sweep;

static void sum_clipping_squares(void *sweep_, int64_t chunk, int thread) {
    (void)thread;
    sweep *s = (sweep *)sweep_;
    lopt__range r = lopt__chunk_range(s->n, chunk);
    double sum = 0;
    for (int64_t i = r.first; i < r.first + r.n; i++) sum += (double)s->in[i] * s->in[i];
    s->sum[chunk] = sum;
}

static float norm_of_gradient(lopt__team *team, const float *x, int64_t n) {
    sweep s = {.in = x, .n = n};
    double sum = 0;
    lopt__team_run_chunks(team, lopt__n_chunks(n), sum_clipping_squares, &s);
    for (int64_t i = 0; i < lopt__n_chunks(n); i++) sum += s.sum[i];
    return (float)sqrt(sum);
}

static float replace_non_finite(float x) {
    if (isnan(x)) return 0;
    return x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : x;
}

static void scale_gradient_chunk(void *sweep_, int64_t chunk, int thread) {
    (void)thread;
    const sweep *s = (const sweep *)sweep_;
    lopt__range r = lopt__chunk_range(s->n, chunk);
    for (int64_t i = r.first; i < r.first + r.n; i++) {
        float x = s->in[i] * s->factor;
        s->out[i] = s->nan_to_num ? replace_non_finite(x) : x;
    }
}

void lopt__clip_gradients(const lopt__clipping *c, const lopt_state *state, const float *grads, float *out) {
    float global = 1;
    if (c->clip_norm > 0) {
        float whole = norm_of_gradient(state->team, grads, (int64_t)state->n_params);
        global = whole <= c->clip_norm ? 1 : c->clip_norm / whole;
    }
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        const float *g = grads + t->offset;
        float factor = global;
        if (c->max_grad_norm > 0) {
            float own = c->max_grad_norm / (global * norm_of_gradient(state->team, g, t->view.size) + 1e-6f);
            factor *= own > 1 ? 1 : own;
        }
        sweep s = {g, t->view.size, {0}, factor, out + t->offset, c->nan_to_num};
        lopt__team_run_chunks(state->team, lopt__n_chunks(s.n), scale_gradient_chunk, &s);
    }
}
