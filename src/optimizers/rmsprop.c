/* SPDX-License-Identifier: Apache-2.0
 *
 * rmsprop.c - RMSProp (Tieleman and Hinton 2012; optax.rmsprop).
 *
 *     v <- decay v + (1 - decay) g^2
 *     b <- learning_rate g / sqrt(v + epsilon) + momentum b
 *     p <- p - b - learning_rate weight_decay p           Nesterov: new term + momentum b in place of b
 *
 * epsilon_in_root false: / (sqrt(v) + epsilon), as torch.optim.RMSprop (whose decay is 0.99).
 * Momentum is applied after the learning rate. State of a tensor: v, and b where momentum is not 0. */
#include "classical/elementwise_update.h"

enum { DECAY = LOPT__N_COMMON, EPSILON, EPSILON_IN_ROOT, MOMENTUM, NESTEROV };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    [DECAY] = {"decay", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean square"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added to the denominator"},
    [EPSILON_IN_ROOT] = {"epsilon_in_root", LOPT__BOOLEAN, 1, 0, 1, NULL, "true",
                         "epsilon is added inside the root, else to the root"},
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0", "decay of the previous step"},
    [NESTEROV] = {"nesterov", LOPT__BOOLEAN, 1, 0, 1, NULL, "false", "look ahead along the momentum"},
};

static const lopt__preset presets[] = {
    {{"rmsprop", "rmsprop", "gradient over its root mean square", "Tieleman and Hinton, 2012", 0}, {{0}}},
};

static size_t rmsprop_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    return (lopt__read_number(opt, MOMENTUM) != 0 ? 2 : 1) * (size_t)view->size;
}

typedef struct rmsprop_constants {
    float decay, one_minus_decay, inside, outside, momentum;
    int nesterov;
} rmsprop_constants;

/* The term without momentum: -learning_rate g / root. */
static void scale_by_root(const lopt__span *s, const rmsprop_constants *c) {
    const float decay = c->decay, one_minus_decay = c->one_minus_decay, rate = s->rate;
    const float inside = c->inside, outside = c->outside;
    const float *restrict g = s->g;
    float *restrict v = lopt__span_array(s, 0), *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        v[i] = decay * v[i] + one_minus_decay * (g[i] * g[i]);
        update[i] = -rate * (g[i] / (sqrtf(v[i] + inside) + outside));
    }
}

static void add_rmsprop_momentum(const lopt__span *s, float momentum, int nesterov) {
    float *restrict b = lopt__span_array(s, 1), *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        b[i] = update[i] + momentum * b[i];
        update[i] = nesterov ? update[i] + momentum * b[i] : b[i];
    }
}

static void rmsprop_rule(const lopt__span *s, const void *constants) {
    const rmsprop_constants *c = (const rmsprop_constants *)constants;
    scale_by_root(s, c);
    if (c->momentum != 0) add_rmsprop_momentum(s, c->momentum, c->nesterov);
    if (s->decay != 0)
        for (int64_t i = 0; i < s->n; i++) s->update[i] -= s->rate * (s->decay * s->p[i]);
}

static void rmsprop_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    int in_root = lopt__read_integer(opt, EPSILON_IN_ROOT);
    float epsilon = lopt__read_number(opt, EPSILON);
    rmsprop_constants c = {.decay = lopt__read_number(opt, DECAY),
                           .one_minus_decay = (float)(1 - opt->value[DECAY][0]),
                           .inside = in_root ? epsilon : 0,
                           .outside = in_root ? 0 : epsilon,
                           .momentum = lopt__read_number(opt, MOMENTUM),
                           .nesterov = lopt__read_integer(opt, NESTEROV)};
    lopt__step_elementwise(opt, state, io, rmsprop_rule, &c);
}

const lopt__kind lopt__rmsprop = {
    .name = "rmsprop",
    LOPT__TABLES,
    .tensor_floats = rmsprop_tensor_floats,
    .step = rmsprop_step,
};
