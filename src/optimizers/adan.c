/* SPDX-License-Identifier: Apache-2.0
 *
 * adan.c - Adan (Xie et al. 2022, 2208.06677), decays as in the authors' code: 1 minus the paper's.
 *
 *     d = g - (g of the step before), 0 at the first step
 *     m <- beta1 m + (1 - beta1) g     v <- beta2 v + (1 - beta2) d     n <- beta3 n + (1 - beta3) (g + w d)^2
 *     u = (m^ + w v^) / (sqrt(n^ + epsilon_root) + epsilon)             ^: over 1 - beta^T
 *     p <- (p - learning_rate u) / (1 + learning_rate weight_decay)
 *
 * w = beta2 (the paper's 1 - beta2). With difference_weight one_minus_beta2, w = 1 - beta2: optax.adan, which has
 * also epsilon_root 1e-8. proximal_decay false: p <- p - learning_rate (u + weight_decay p), as optax and no_prox
 * of the authors' code. State: m, v, n, g. */
#include <string.h>

#include "classical/moments.h"

enum { BETA3 = LOPT__N_MOMENT, DIFFERENCE_WEIGHT, PROXIMAL_DECAY };
enum { WEIGHT_BETA2, WEIGHT_ONE_MINUS_BETA2 };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.001", "0"),
    [LOPT__BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.98", "decay of the mean gradient"},
    [LOPT__BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.92", "decay of the mean difference of gradients"},
    [LOPT__EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added to the root"},
    [LOPT__EPSILON_ROOT] = {"epsilon_root", LOPT__NUMBER, 1, 0, 1e6, NULL, "0", "added inside the root"},
    [BETA3] = {"beta3", LOPT__NUMBER, 1, 0, 1, NULL, "0.99", "decay of the mean square"},
    [DIFFERENCE_WEIGHT] = {"difference_weight", LOPT__CHOICE, 1, 0, 0, "beta2|one_minus_beta2", "beta2",
                           "factor of the difference of gradients in the step and its square"},
    [PROXIMAL_DECAY] = {"proximal_decay", LOPT__BOOLEAN, 1, 0, 1, NULL, "true",
                        "weight decay divides p after the step, else it is part of the step"},
};

static const lopt__preset presets[] = {
    {{"adan", "adan", "Adam with Nesterov momentum from differences of gradients", "Xie et al., 2022 (2208.06677)", 0},
     {{0}}},
};

static size_t adan_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return 4 * (size_t)view->size;
}

typedef struct adan_constants {
    lopt__adam_constants adam;
    float beta3, one_minus_beta3, correction3;
    float weight; /* w */
    int first, proximal;
} adan_constants;

static void adan_rule(const lopt__span *s, const void *constants) {
    const adan_constants c = *(const adan_constants *)constants;
    const lopt__moments k = c.adam.moments;
    const float epsilon = c.adam.epsilon, epsilon_root = c.adam.epsilon_root, decay = s->decay;
    const float rate = s->rate / (c.proximal ? 1 + s->rate * decay : 1);
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1);
    float *restrict n = lopt__span_array(s, 2), *restrict before = lopt__span_array(s, 3), *restrict update = s->update;
    if (c.first) memcpy(before, g, (size_t)s->n * sizeof *before);
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        float difference = g[i] - before[i], ahead = g[i] + c.weight * difference;
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * difference;
        n[i] = c.beta3 * n[i] + c.one_minus_beta3 * (ahead * ahead);
        before[i] = g[i];
        float root = sqrtf(n[i] / c.correction3 + epsilon_root) + epsilon;
        update[i] = -rate * ((m[i] / k.correction1 + c.weight * (v[i] / k.correction2)) / root + decay * p[i]);
    }
}

static void adan_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    adan_constants c = {.adam = lopt__adam_constants_of(opt, state),
                        .first = state->header->step == 0,
                        .proximal = lopt__read_integer(opt, PROXIMAL_DECAY)};
    lopt__moments third = lopt__moments_at_step(opt->value[BETA3][0], 0, state->header->step);
    c.beta3 = third.beta1;
    c.one_minus_beta3 = third.one_minus_beta1;
    c.correction3 = third.correction1;
    c.weight = lopt__read_integer(opt, DIFFERENCE_WEIGHT) == WEIGHT_ONE_MINUS_BETA2 ? c.adam.moments.one_minus_beta2
                                                                                    : c.adam.moments.beta2;
    lopt__step_elementwise(opt, state, io, adan_rule, &c);
}

const lopt__kind lopt__adan = {
    .name = "adan",
    LOPT__TABLES,
    .tensor_floats = adan_tensor_floats,
    .step = adan_step,
};
