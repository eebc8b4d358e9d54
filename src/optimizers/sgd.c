/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd.c - stochastic gradient descent, optionally with heavy-ball momentum (Polyak 1964; optax.sgd).
 *
 *     b <- g + momentum b
 *     p <- p - learning_rate (b + weight_decay p)            Nesterov: g + momentum b in place of b
 *
 * State: b, where momentum is not 0. torch.optim.SGD (dampening 0) has weight decay of the form
 * gradient. */
#include "classical/heavy_ball.h"

enum { MOMENTUM = LOPT__N_COMMON, NESTEROV };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.01", "0"),
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0", "decay of the previous step"},
    [NESTEROV] = {"nesterov", LOPT__BOOLEAN, 1, 0, 1, NULL, "false", "look ahead along the momentum"},
};

static const lopt__preset presets[] = {
    {{"sgd", "sgd", "gradient descent", "Robbins and Monro, 1951", 0}, {{0}}},
    {{"sgdm", "sgd", "gradient descent with heavy-ball momentum", "Polyak, 1964", 0}, {{"momentum", "0.9"}}},
};

static size_t sgd_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    return lopt__read_number(opt, MOMENTUM) != 0 ? (size_t)view->size : 0;
}

static void sgd_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lopt__heavy_ball_constants c = {lopt__read_number(opt, MOMENTUM), lopt__read_integer(opt, NESTEROV)};
    lopt__step_elementwise(opt, state, io, c.momentum != 0 ? lopt__heavy_ball_rule : lopt__descent_rule, &c);
}

const lopt__kind lopt__sgd = {
    .name = "sgd",
    LOPT__TABLES,
    .tensor_floats = sgd_tensor_floats,
    .step = sgd_step,
};
