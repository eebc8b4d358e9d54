/* SPDX-License-Identifier: Apache-2.0
 *
 * adagrad.c - AdaGrad (Duchi et al. 2011; optax.adagrad).
 *
 *     s <- s + g^2, from initial_accumulator
 *     p <- p - learning_rate (g / sqrt(s + epsilon) + weight_decay p), g / ... = 0 where s is 0
 *
 * torch.optim.Adagrad: initial_accumulator 0, epsilon 1e-10, epsilon_in_root false. State of a
 * tensor: s. */
#include "classical/elementwise_update.h"

enum { INITIAL_ACCUMULATOR = LOPT__N_COMMON, EPSILON, EPSILON_IN_ROOT };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    [INITIAL_ACCUMULATOR] = {"initial_accumulator", LOPT__NUMBER, 1, 0, 1e6, NULL, "0.1",
                             "sum of squares at the start"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-7", "added to the denominator"},
    [EPSILON_IN_ROOT] = {"epsilon_in_root", LOPT__BOOLEAN, 1, 0, 1, NULL, "true",
                         "epsilon is added inside the root, else to the root"},
};

static const lopt__preset presets[] = {
    {{"adagrad", "adagrad", "gradient over the root of its sum of squares", "Duchi et al., 2011", 0}, {{0}}},
};

static void adagrad_reset(const lopt_optimizer *opt, lopt_state *state) {
    lopt__fill_arrays(state, 1, lopt__read_number(opt, INITIAL_ACCUMULATOR));
}

typedef struct adagrad_constants {
    float inside, outside;
} adagrad_constants;

static void adagrad_rule(const lopt__span *s, const void *constants) {
    const adagrad_constants *c = (const adagrad_constants *)constants;
    const float inside = c->inside, outside = c->outside, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict sum = lopt__span_array(s, 0), *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        sum[i] += g[i] * g[i];
        float direction = g[i] / (sqrtf(sum[i] + inside) + outside);
        update[i] = -rate * ((sum[i] == 0 ? 0 : direction) + decay * p[i]);
    }
}

static void adagrad_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    int in_root = lopt__read_integer(opt, EPSILON_IN_ROOT);
    float epsilon = lopt__read_number(opt, EPSILON);
    adagrad_constants c = {in_root ? epsilon : 0, in_root ? 0 : epsilon};
    lopt__step_elementwise(opt, state, io, adagrad_rule, &c);
}

const lopt__kind lopt__adagrad = {
    .name = "adagrad",
    LOPT__TABLES,
    .tensor_floats = lopt__one_array_floats,
    .reset = adagrad_reset,
    .step = adagrad_step,
};
