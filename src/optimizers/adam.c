/* SPDX-License-Identifier: Apache-2.0
 *
 * adam.c - Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as optax rounds them;
 * with Nesterov momentum optax's nadam and nadamw. The rule is in moments.h.
 *
 *     p <- p - learning_rate (m^ / (sqrt(v^ + epsilon_root) + epsilon) + weight_decay p)
 *
 * State of a tensor: m, v. The preset adam has learned_optimization's epsilon_root of 1e-8.
 * torch.optim.Adam has epsilon_root 0 and weight decay of the form gradient. */
#include "classical/moments.h"

enum { NESTEROV = LOPT__N_MOMENT };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    LOPT__MOMENT_HYPERS("0.9", "0.999", "1e-8", "1e-8"),
    [NESTEROV] = {"nesterov", LOPT__BOOLEAN, 1, 0, 1, NULL, "false", "look ahead along the mean gradient"},
};

static const lopt__preset presets[] = {
    {{"adam", "adam", "Adam", "Kingma and Ba, 2015", 0}, {{0}}},
    {{"adamw", "adam", "Adam with decoupled weight decay", "Loshchilov and Hutter, 2019", 0},
     {{"learning_rate", "0.001"}, {"epsilon_root", "0"}, {"weight_decay", "1e-4"}}},
};

static void adam_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lopt__adam_constants c = lopt__adam_constants_of(opt, state);
    c.nesterov = lopt__read_integer(opt, NESTEROV);
    lopt__step_elementwise(opt, state, io, lopt__adam_rule, &c);
}

const lopt__kind lopt__adam = {
    .name = "adam",
    LOPT__TABLES,
    .tensor_floats = lopt__two_array_floats,
    .step = adam_step,
};
