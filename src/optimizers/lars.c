/* SPDX-License-Identifier: Apache-2.0
 *
 * lars.c - LARS (You et al. 2017, 1708.03888; optax.lars).
 *
 *     u = g + weight_decay p                                                      either form
 *     a = learning_rate u trust |p| / (|u| + epsilon); learning_rate u if either norm is 0
 *     b <- a + momentum b
 *     p <- p - b                                             Nesterov: a + momentum b in place of b
 *
 * State of a tensor: b. */
#include "classical/elementwise_update.h"

enum { TRUST = LOPT__N_COMMON, EPSILON, MOMENTUM, NESTEROV };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.1", "0"),
    [TRUST] = {"trust", LOPT__NUMBER, 1, 0, 1e6, NULL, "0.001", "step over the tensor's norm"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "0", "added to the norm of the gradient"},
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the previous step"},
    [NESTEROV] = {"nesterov", LOPT__BOOLEAN, 1, 0, 1, NULL, "false", "look ahead along the momentum"},
};

static const lopt__preset presets[] = {
    {{"lars", "lars", "momentum with steps in proportion to the tensor", "You et al., 2017 (1708.03888)", 0}, {{0}}},
};

static void lars_decayed_gradient(const lopt__span *s, const void *constants) {
    (void)constants;
    for (int64_t i = 0; i < s->n; i++) s->update[i] = s->g[i] + s->decay * s->p[i];
}

static void lars_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    float rate = lopt__scheduled_rate(opt, state), momentum = lopt__read_number(opt, MOMENTUM);
    int nesterov = lopt__read_integer(opt, NESTEROV);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        float *restrict u = state->scratch, *restrict b = t->data;
        lopt__run_rule(opt, t, io, 1, lars_decayed_gradient, NULL, u);
        float ratio = lopt__trust_ratio(t, io, u, lopt__read_number(opt, TRUST), lopt__read_number(opt, EPSILON));
        float factor = -lopt__tensor_rate(t, rate) * ratio;
        for (int64_t k = 0; k < t->view.size; k++) {
            float a = factor * u[k];
            b[k] = a + momentum * b[k];
            u[k] = nesterov ? a + momentum * b[k] : b[k];
        }
        lopt__add_update(t, io, 1, u);
    }
}

const lopt__kind lopt__lars = {
    .name = "lars",
    LOPT__TABLES,
    .tensor_floats = lopt__one_array_floats,
    .scratch_floats = lopt__largest_tensor,
    .step = lars_step,
};
