/* SPDX-License-Identifier: Apache-2.0
 *
 * nadamw.c - NAdamW of learned_optimization, and OptList (Metz et al. 2020, 2002.11887).
 *
 *     g <- g - l2_weight_decay p                             the sign is that of the published code: weights grow
 *     m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
 *     alpha = learning_rate sqrt(1 - beta2^T) / (1 - beta1^T),  T = 1 at the first step
 *     d = beta1 m + (1 - beta1) g if nesterov, else m
 *     p <- p - alpha (d / (sqrt(v) + epsilon) + weight_decay p)
 *
 * epsilon is added to the uncorrected root and weight decay is multiplied by alpha; optax.nadamw is
 * a different rule (preset adamw with nesterov). A configuration of OptList is this kind with schedule cosine and
 * warmup_rule optlist; nadamw_search.h draws configurations from the published ranges. State of a tensor: m, v. */
#include "classical/moments.h"

enum { BETA1 = LOPT__N_COMMON, BETA2, EPSILON, NESTEROV, L2_WEIGHT_DECAY };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("1e-4", "0"),
    [BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean gradient"},
    [BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.999", "decay of the mean square"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added to the uncorrected root"},
    [NESTEROV] = {"nesterov", LOPT__BOOLEAN, 1, 0, 1, NULL, "true", "look ahead along the mean gradient"},
    [L2_WEIGHT_DECAY] = {"l2_weight_decay", LOPT__NUMBER, 1, 0, 1e6, NULL, "0",
                         "times p, subtracted from the gradient (published sign)"},
};

static const lopt__preset presets[] = {
    {{"nadamw", "nadamw", "Adam with Nesterov momentum and two weight decays", "Metz et al., 2020 (2002.11887)", 0},
     {{0}}},
    {{"optlist", "nadamw", "first row of OptList: nadamw tuned over a thousand tasks", "Metz et al., 2020 (2002.11887)",
      0},
     {{"learning_rate", "1.1948335721e-3"},
      {"beta1", "0.93600434526"},
      {"beta2", "0.99894974062"},
      {"epsilon", "5.8758144e-6"},
      {"nesterov", "false"},
      {"weight_decay", "0.010141964334"},
      {"schedule", "cosine"},
      {"warmup_rule", "optlist"},
      {"constant_fraction", "0.74730404622"}}},
};

typedef struct nadamw_constants {
    lopt__moments moments;
    float epsilon, l2, ahead, alpha; /* d = ahead m + (1 - ahead) g; alpha: over the learning rate */
    float one_minus_ahead;
} nadamw_constants;

static void nadamw_rule(const lopt__span *s, const void *constants) {
    const nadamw_constants *c = (const nadamw_constants *)constants;
    const lopt__moments k = c->moments;
    const float alpha = s->rate * c->alpha, decay = s->decay, epsilon = c->epsilon, l2 = c->l2;
    const float ahead = c->ahead, one_minus_ahead = c->one_minus_ahead;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1), *restrict update = s->update;
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        float gradient = g[i] - l2 * p[i];
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * gradient;
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (gradient * gradient);
        float direction = ahead * m[i] + one_minus_ahead * gradient;
        update[i] = -alpha * (direction / (sqrtf(v[i]) + epsilon) + decay * p[i]);
    }
}

static void nadamw_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lopt__moments k = lopt__moments_at_step(opt->value[BETA1][0], opt->value[BETA2][0], state->header->step);
    int nesterov = lopt__read_integer(opt, NESTEROV);
    nadamw_constants c = {.moments = k,
                          .epsilon = lopt__read_number(opt, EPSILON),
                          .l2 = lopt__read_number(opt, L2_WEIGHT_DECAY),
                          .ahead = nesterov ? k.beta1 : 1,
                          .alpha = sqrtf(k.correction2) / k.correction1,
                          .one_minus_ahead = nesterov ? k.one_minus_beta1 : 0};
    lopt__step_elementwise(opt, state, io, nadamw_rule, &c);
}

const lopt__kind lopt__nadamw = {
    .name = "nadamw",
    LOPT__TABLES,
    .tensor_floats = lopt__two_array_floats,
    .step = nadamw_step,
};
