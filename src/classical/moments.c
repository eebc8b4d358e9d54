/* SPDX-License-Identifier: Apache-2.0
 *
 * moments.c - Adam's moments and its rule (formulas in moments.h). */
#include "classical/moments.h"

lopt__moments lopt__moments_at_step(double beta1, double beta2, int64_t updates_done) {
    float count = (float)(updates_done + 1), b1 = (float)beta1, b2 = (float)beta2;
    return (lopt__moments){.beta1 = b1,
                           .beta2 = b2,
                           .one_minus_beta1 = (float)(1 - beta1),
                           .one_minus_beta2 = (float)(1 - beta2),
                           .correction1 = 1 - powf(b1, count),
                           .correction2 = 1 - powf(b2, count),
                           .nesterov_correction = 1 - powf(b1, count + 1)};
}

lopt__adam_constants lopt__adam_constants_of(const lopt_optimizer *opt, const lopt_state *state) {
    lopt__moments moments =
        lopt__moments_at_step(opt->value[LOPT__BETA1][0], opt->value[LOPT__BETA2][0], state->header->step);
    return (lopt__adam_constants){.moments = moments,
                                  .epsilon = lopt__read_number(opt, LOPT__EPSILON),
                                  .epsilon_root = lopt__read_number(opt, LOPT__EPSILON_ROOT)};
}

static void adam_update_span(const lopt__span *s, const lopt__adam_constants *c) {
    const lopt__moments k = c->moments;
    const float epsilon = c->epsilon, epsilon_root = c->epsilon_root, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1), *restrict update = s->update;
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (g[i] * g[i]);
        float root = sqrtf(v[i] / k.correction2 + epsilon_root) + epsilon;
        update[i] = -rate * (m[i] / k.correction1 / root + decay * p[i]);
    }
}

static void nesterov_update_span(const lopt__span *s, const lopt__adam_constants *c) {
    const lopt__moments k = c->moments;
    const float epsilon = c->epsilon, epsilon_root = c->epsilon_root, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1), *restrict update = s->update;
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (g[i] * g[i]);
        float mean = k.beta1 * (m[i] / k.nesterov_correction) + k.one_minus_beta1 * (g[i] / k.correction1);
        float root = sqrtf(v[i] / k.correction2 + epsilon_root) + epsilon;
        update[i] = -rate * (mean / root + decay * p[i]);
    }
}

void lopt__adam_rule(const lopt__span *s, const void *constants) {
    const lopt__adam_constants *c = (const lopt__adam_constants *)constants;
    if (c->nesterov)
        nesterov_update_span(s, c);
    else
        adam_update_span(s, c);
}
