/* SPDX-License-Identifier: Apache-2.0
 *
 * heavy_ball.c - see heavy_ball.h. */
#include "classical/heavy_ball.h"

void lopt__descent_rule(const lopt__span *s, const void *constants) {
    (void)constants;
    const float *restrict p = s->p, *restrict g = s->g, rate = s->rate, decay = s->decay;
    float *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) update[i] = -rate * (g[i] + decay * p[i]);
}

void lopt__heavy_ball_rule(const lopt__span *s, const void *constants) {
    const lopt__heavy_ball_constants *c = (const lopt__heavy_ball_constants *)constants;
    const float momentum = c->momentum, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict b = lopt__span_array(s, 0), *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        b[i] = g[i] + momentum * b[i];
        float direction = c->nesterov ? g[i] + momentum * b[i] : b[i];
        update[i] = -rate * (direction + decay * p[i]);
    }
}
