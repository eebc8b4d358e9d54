/* SPDX-License-Identifier: Apache-2.0
 *
 * lion.c - Lion (Chen et al. 2023, 2302.06675; optax.lion).
 *
 *     p <- p - learning_rate (sign(beta1 m + (1 - beta1) g) + weight_decay p)
 *     m <- beta2 m + (1 - beta2) g
 *
 * sign(0) is 0. State of a tensor: m. */
#include "classical/elementwise_update.h"

enum { BETA1 = LOPT__N_COMMON, BETA2 };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("1e-4", "1e-3"),
    [BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "weight of the mean gradient in the step"},
    [BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.99", "decay of the mean gradient"},
};

static const lopt__preset presets[] = {
    {{"lion", "lion", "sign of an interpolated momentum", "Chen et al., 2023 (2302.06675)", 0}, {{0}}},
};

typedef struct lion_constants {
    float beta1, beta2, one_minus_beta1, one_minus_beta2;
} lion_constants;

static void lion_rule(const lopt__span *s, const void *constants) {
    const lion_constants c = *(const lion_constants *)constants;
    const float rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        float direction = lopt__sign_of(c.beta1 * m[i] + c.one_minus_beta1 * g[i]);
        m[i] = c.beta2 * m[i] + c.one_minus_beta2 * g[i];
        update[i] = -rate * (direction + decay * p[i]);
    }
}

static void lion_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lion_constants c = {lopt__read_number(opt, BETA1), lopt__read_number(opt, BETA2), (float)(1 - opt->value[BETA1][0]),
                        (float)(1 - opt->value[BETA2][0])};
    lopt__step_elementwise(opt, state, io, lion_rule, &c);
}

const lopt__kind lopt__lion = {
    .name = "lion",
    LOPT__TABLES,
    .tensor_floats = lopt__one_array_floats,
    .step = lion_step,
};
