/* SPDX-License-Identifier: Apache-2.0
 *
 * adabelief.c - AdaBelief (Zhuang et al. 2020, 2010.07468; optax.adabelief).
 *
 *     m <- beta1 m + (1 - beta1) g          e = g - m
 *     s <- beta2 s + (1 - beta2) e^2 + epsilon_root                              remembered with it
 *     p <- p - learning_rate (m^ / (sqrt(s^) + epsilon) + weight_decay p)        ^: over 1 - beta^T
 *
 * residual_of old: e = g - (m before its update), as optax until November 2024. State: m, s. */
#include "classical/moments.h"

enum { RESIDUAL_OF = LOPT__N_MOMENT };
enum { RESIDUAL_NEW, RESIDUAL_OLD };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    LOPT__MOMENT_HYPERS("0.9", "0.999", "1e-16", "1e-16"),
    [RESIDUAL_OF] = {"residual_of", LOPT__CHOICE, 1, 0, 0, "new|old", "new",
                     "the mean gradient that is subtracted from the gradient: after or before its update"},
};

static const lopt__preset presets[] = {
    {{"adabelief", "adabelief", "Adam scaled by the deviation of the gradient from its mean",
      "Zhuang et al., 2020 (2010.07468)", 0},
     {{0}}},
};

typedef struct adabelief_constants {
    lopt__adam_constants adam;
    int old;
} adabelief_constants;

static void adabelief_rule(const lopt__span *s, const void *constants) {
    const adabelief_constants *c = (const adabelief_constants *)constants;
    const lopt__moments k = c->adam.moments;
    const float epsilon = c->adam.epsilon, epsilon_root = c->adam.epsilon_root;
    const float rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1), *restrict update = s->update;
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        float before = m[i];
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        float residual = g[i] - (c->old ? before : m[i]);
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (residual * residual) + epsilon_root;
        float root = sqrtf(v[i] / k.correction2) + epsilon;
        update[i] = -rate * (m[i] / k.correction1 / root + decay * p[i]);
    }
}

static void adabelief_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    adabelief_constants c = {lopt__adam_constants_of(opt, state), lopt__read_integer(opt, RESIDUAL_OF) == RESIDUAL_OLD};
    lopt__step_elementwise(opt, state, io, adabelief_rule, &c);
}

const lopt__kind lopt__adabelief = {
    .name = "adabelief",
    LOPT__TABLES,
    .tensor_floats = lopt__two_array_floats,
    .step = adabelief_step,
};
