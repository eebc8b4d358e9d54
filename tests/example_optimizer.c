/* SPDX-License-Identifier: Apache-2.0
 *
 * sign_momentum.c - the sign of a momentum, its learning rate learned: the example of
 * docs/adding-an-optimizer.md.
 *
 *     b <- momentum b + (1 - momentum) g
 *     p <- p - exp(log_rate) learning_rate (sign(b) + weight_decay p)
 *
 * theta: log_rate. State of a tensor: b. */
#include "classical/elementwise_update.h"

enum { MOMENTUM = LOPT__N_COMMON, INITIAL_RATE };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("1", "0"), /* learning_rate with its schedule, weight_decay */
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean gradient"},
    [INITIAL_RATE] = {"initial_rate", LOPT__NUMBER, 1, 1e-30, 1e6, NULL, "0.001", "learned rate in a fresh theta"},
};

static const lopt__preset presets[] = {
    {{"sign-momentum", "sign_momentum", "sign of a momentum, its rate learned", "this page", 1}, {{0}}},
    {{"sign-momentum-slow", "sign_momentum", "the same with a longer memory", "this page", 1}, {{"momentum", "0.99"}}},
};

/* ---- theta ----------------------------------------------------------------------------------- */

static void sign_momentum_layout(lopt_optimizer *opt) {
    lopt__block *b = lopt__add_block(opt, "log_rate", 0, NULL, LOPT__INIT_VALUES, 0);
    b->values[0] = logf(lopt__read_number(opt, INITIAL_RATE));
}

typedef struct prepared {
    float rate;
} prepared;

static size_t sign_momentum_prepared_bytes(const lopt_optimizer *opt) {
    (void)opt;
    return sizeof(prepared);
}

static void sign_momentum_prepare(lopt_optimizer *opt) {
    prepared *ready = (prepared *)opt->prepared;
    ready->rate = expf(opt->theta[lopt_block_find(opt, "log_rate")->offset]);
}

/* ---- step ------------------------------------------------------------------------------------ */

static void sign_momentum_rule(const lopt__span *s, const void *constants) {
    const float momentum = *(const float *)constants, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict b = lopt__span_array(s, 0), *restrict update = s->update;
    for (int64_t i = 0; i < s->n; i++) {
        b[i] = momentum * b[i] + (1.0f - momentum) * g[i];
        update[i] = -rate * (lopt__sign_of(b[i]) + decay * p[i]);
    }
}

static void sign_momentum_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const prepared *ready = (const prepared *)opt->prepared;
    float momentum = lopt__read_number(opt, MOMENTUM), rate = ready->rate * lopt__scheduled_rate(opt, state);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        lopt__step_tensor(opt, t, io, lopt__tensor_rate(t, rate), sign_momentum_rule, &momentum);
    }
}

const lopt__kind lopt__sign_momentum = {
    .name = "sign_momentum",
    LOPT__TABLES,
    .layout = sign_momentum_layout,
    .prepared_bytes = sign_momentum_prepared_bytes,
    .prepare = sign_momentum_prepare,
    .tensor_floats = lopt__one_array_floats,
    .step = sign_momentum_step,
};
