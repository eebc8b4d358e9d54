/* SPDX-License-Identifier: Apache-2.0
 *
 * lamb.c - LAMB (You et al. 2020, 1904.00962; optax.lamb).
 *
 *     u = m^ / (sqrt(v^ + epsilon_root) + epsilon) + weight_decay p                (Adam's moments)
 *     p <- p - learning_rate ratio u,  ratio = |p| / |u| of the tensor, 1 if either norm is 0
 *
 * State of a tensor: m, v. */
#include "classical/moments.h"

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.001", "0"),
    LOPT__MOMENT_HYPERS("0.9", "0.999", "1e-6", "0"),
};

static const lopt__preset presets[] = {
    {{"lamb", "lamb", "Adam with layer-wise trust ratios", "You et al., 2020 (1904.00962)", 0}, {{0}}},
};

static void lamb_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lopt__adam_constants c = lopt__adam_constants_of(opt, state);
    float rate = lopt__scheduled_rate(opt, state);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        lopt__run_rule(opt, t, io, -1, lopt__adam_rule, &c, state->scratch);
        float ratio = lopt__trust_ratio(t, io, state->scratch, 1, 0);
        lopt__add_update(t, io, -lopt__tensor_rate(t, rate) * ratio, state->scratch);
    }
}

const lopt__kind lopt__lamb = {
    .name = "lamb",
    LOPT__TABLES,
    .tensor_floats = lopt__two_array_floats,
    .scratch_floats = lopt__largest_tensor,
    .step = lamb_step,
};
