/* SPDX-License-Identifier: Apache-2.0
 *
 * yogi.c - Yogi (Zaheer et al. 2018; optax.yogi).
 *
 *     m <- beta1 m + (1 - beta1) g          v <- v - (1 - beta2) sign(v - g^2) g^2
 *     p <- p - learning_rate (m^ / (sqrt(v^ + epsilon_root) + epsilon) + weight_decay p)
 *
 * Both moments start at initial_accumulator and are nevertheless divided by 1 - beta^T. State: m,
 * v. */
#include "classical/moments.h"

enum { INITIAL_ACCUMULATOR = LOPT__N_MOMENT };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    LOPT__MOMENT_HYPERS("0.9", "0.999", "1e-3", "0"),
    [INITIAL_ACCUMULATOR] = {"initial_accumulator", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-6", "both moments at the start"},
};

static const lopt__preset presets[] = {
    {{"yogi", "yogi", "Adam with an additive update of the second moment", "Zaheer et al., 2018", 0}, {{0}}},
};

static void yogi_reset(const lopt_optimizer *opt, lopt_state *state) {
    lopt__fill_arrays(state, 2, lopt__read_number(opt, INITIAL_ACCUMULATOR));
}

static void yogi_rule(const lopt__span *s, const void *constants) {
    const lopt__adam_constants *c = (const lopt__adam_constants *)constants;
    const lopt__moments k = c->moments;
    const float epsilon = c->epsilon, epsilon_root = c->epsilon_root, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1), *restrict update = s->update;
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        float square = g[i] * g[i];
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        v[i] -= k.one_minus_beta2 * lopt__sign_of(v[i] - square) * square;
        float root = sqrtf(v[i] / k.correction2 + epsilon_root) + epsilon;
        update[i] = -rate * (m[i] / k.correction1 / root + decay * p[i]);
    }
}

static void yogi_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lopt__adam_constants c = lopt__adam_constants_of(opt, state);
    lopt__step_elementwise(opt, state, io, yogi_rule, &c);
}

const lopt__kind lopt__yogi = {
    .name = "yogi",
    LOPT__TABLES,
    .tensor_floats = lopt__two_array_floats,
    .reset = yogi_reset,
    .step = yogi_step,
};
