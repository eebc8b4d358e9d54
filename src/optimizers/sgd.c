/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd.c - stochastic gradient descent, with heavy-ball momentum if asked (Polyak 1964; optax.sgd).
 *
 *     b <- g + momentum b
 *     p <- p - learning_rate (b + weight_decay p)
 *
 * State: b, where momentum is not 0. */
#include "optimizer.h"

enum { LEARNING_RATE, MOMENTUM, WEIGHT_DECAY };

static const lopt__hyper hypers[] = {
    [LEARNING_RATE] = {"learning_rate", LOPT__NUMBER, 1, 0, 1e6, NULL, "0.01", "step size"},
    [MOMENTUM] = {"momentum", LOPT__NUMBER, 1, 0, 1, NULL, "0", "share of the last step that is kept"},
    [WEIGHT_DECAY] = {"weight_decay", LOPT__NUMBER, 1, 0, 1e6, NULL, "0",
                      "decoupled weight decay, times the learning rate"},
};

static const lopt__preset presets[] = {
    {{"sgd", "sgd", "gradient descent", "Robbins and Monro, 1951", 0}, {{0}}},
    {{"sgdm", "sgd", "gradient descent with heavy-ball momentum", "Polyak, 1964", 0},
     {{"momentum", "0.9"}}},
};

static size_t tensor_floats(const lopt_optimizer *opt, const lopt__view *view)
{
    return lopt__number(opt, MOMENTUM) != 0 ? (size_t)view->size : 0;
}

static void step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io)
{
    float rate = lopt__tensor_rate(t, lopt__number(opt, LEARNING_RATE));
    float decay = lopt__tensor_decay(t, lopt__number(opt, WEIGHT_DECAY));
    float momentum = lopt__number(opt, MOMENTUM);
    float *restrict p = io->params + t->offset;
    const float *restrict g = io->grads + t->offset;
    float *updates = io->updates ? io->updates + t->offset : NULL;
    float *b = momentum != 0 ? t->data : NULL;
    for (int64_t i = 0; i < t->view.size; i++) {
        float direction = g[i];
        if (b)
            b[i] = direction = g[i] + momentum * b[i];
        float update = -rate * (direction + decay * p[i]);
        p[i] += update;
        if (updates)
            updates[i] = update;
    }
}

static void step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io)
{
    for (size_t i = 0; i < state->n_tensors; i++)
        step_tensor(opt, &state->tensors[i], io);
}

const lopt__kind lopt__sgd = {
    .name = "sgd",
    .hypers = hypers,
    .n_hypers = LOPT__COUNT(hypers),
    .presets = presets,
    .n_presets = LOPT__COUNT(presets),
    .tensor_floats = tensor_floats,
    .step = step,
};
