/* SPDX-License-Identifier: Apache-2.0
 *
 * ademamix.c - AdEMAMix (Pagliardini et al. 2024, 2409.03137; optax.contrib.ademamix).
 *
 *     m <- beta1 m + (1 - beta1) g          s <- b s + (1 - b) g          v <- beta2 v + (1 - beta2) g^2
 *     p <- p - learning_rate ((m^ + a s) / (sqrt(v^ + epsilon_root) + epsilon) + weight_decay p)
 *
 * ^: over 1 - beta^T. a = alpha and b = beta3; with slow_warmup_steps W and T < W, a = alpha T / W and b is the decay
 * whose half-life is (1 - T / W) that of beta1 plus T / W that of beta3.
 *
 * State: m, s, v. */
#include "classical/moments.h"

enum { BETA3 = LOPT__N_MOMENT, ALPHA, SLOW_WARMUP_STEPS };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.001", "0"),
    LOPT__MOMENT_HYPERS("0.9", "0.999", "1e-8", "0"),
    [BETA3] = {"beta3", LOPT__NUMBER, 1, 0, 1, NULL, "0.9999", "decay of the slow mean gradient"},
    [ALPHA] = {"alpha", LOPT__NUMBER, 1, 0, 1e6, NULL, "5", "weight of the slow mean gradient"},
    [SLOW_WARMUP_STEPS] = {"slow_warmup_steps", LOPT__INTEGER, 1, 0, 1e12, NULL, "0",
                           "steps over which alpha rises from 0 and beta3 from beta1; 0: none"},
};

static const lopt__preset presets[] = {
    {{"ademamix", "ademamix", "AdamW with a second, slow mean gradient", "Pagliardini et al., 2024 (2409.03137)", 0},
     {{0}}},
};

static size_t ademamix_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return 3 * (size_t)view->size;
}

typedef struct ademamix_constants {
    lopt__adam_constants adam;
    float beta3, one_minus_beta3, alpha;
} ademamix_constants;

/* Steps after which a decay has halved. */
static double half_life_of_decay(double beta) {
    return -log(2) / log(beta);
}

static ademamix_constants ademamix_constants_at(const lopt_optimizer *opt, const lopt_state *state) {
    double beta3 = opt->value[BETA3][0], alpha = opt->value[ALPHA][0];
    double progress = (double)(state->header->step + 1) / opt->value[SLOW_WARMUP_STEPS][0]; /* infinite if 0 */
    if (progress < 1) {
        double h =
            (1 - progress) * half_life_of_decay(opt->value[LOPT__BETA1][0]) + progress * half_life_of_decay(beta3);
        beta3 = exp2(-1 / h);
        alpha *= progress;
    }
    return (ademamix_constants){lopt__adam_constants_of(opt, state), (float)beta3, (float)(1 - beta3), (float)alpha};
}

static void ademamix_rule(const lopt__span *s, const void *constants) {
    const ademamix_constants c = *(const ademamix_constants *)constants;
    const lopt__moments k = c.adam.moments;
    const float epsilon = c.adam.epsilon, epsilon_root = c.adam.epsilon_root, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict slow = lopt__span_array(s, 1);
    float *restrict v = lopt__span_array(s, 2), *restrict update = s->update;
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        slow[i] = c.beta3 * slow[i] + c.one_minus_beta3 * g[i];
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (g[i] * g[i]);
        float root = sqrtf(v[i] / k.correction2 + epsilon_root) + epsilon;
        update[i] = -rate * ((m[i] / k.correction1 + c.alpha * slow[i]) / root + decay * p[i]);
    }
}

static void ademamix_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    ademamix_constants c = ademamix_constants_at(opt, state);
    lopt__step_elementwise(opt, state, io, ademamix_rule, &c);
}

const lopt__kind lopt__ademamix = {
    .name = "ademamix",
    LOPT__TABLES,
    .tensor_floats = ademamix_tensor_floats,
    .step = ademamix_step,
};
