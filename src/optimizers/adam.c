/* SPDX-License-Identifier: Apache-2.0
 *
 * adam.c - Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as optax rounds them.
 *
 *     m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
 *     p <- p - learning_rate (m^ / (sqrt(v^ + epsilon_root) + epsilon) + weight_decay p)
 *
 * m^ = m / (1 - beta1^T), v^ = v / (1 - beta2^T), T = 1 at the first step. 1 - beta is taken in double and
 * rounded; the powers are float, so the first step differs from the textbook by 6e-6 relative, as in optax.
 * State of a tensor: m, v. */
#include <math.h>

#include "optimizer.h"

enum { LEARNING_RATE, BETA1, BETA2, EPSILON, EPSILON_ROOT, WEIGHT_DECAY };

static const lopt__hyper hypers[] = {
    [LEARNING_RATE] = {"learning_rate", LOPT__NUMBER, 1, 0, 1e6, NULL, "0.01", "step size"},
    [BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean of the gradient"},
    [BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.999", "decay of the mean of its square"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added to the root"},
    [EPSILON_ROOT] = {"epsilon_root", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added inside the root"},
    [WEIGHT_DECAY] = {"weight_decay", LOPT__NUMBER, 1, 0, 1e6, NULL, "0",
                      "decoupled weight decay, times the learning rate"},
};

static const lopt__preset presets[] = {
    {{"adam", "adam", "Adam", "Kingma and Ba, 2015", 0}, {{0}}},
    {{"adamw", "adam", "Adam with decoupled weight decay", "Loshchilov and Hutter, 2019", 0},
     {{"learning_rate", "0.001"}, {"epsilon_root", "0"}, {"weight_decay", "1e-4"}}},
};

static size_t tensor_floats(const lopt_optimizer *opt, const lopt__view *view)
{
    (void)opt;
    return 2 * (size_t)view->size;
}

/* What does not depend on the tensor. */
typedef struct adam_step {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, correction1, correction2;
} adam_step;

static adam_step corrections(const lopt_optimizer *opt, int64_t updates_done)
{
    float count = (float)(updates_done + 1);
    float beta1 = lopt__number(opt, BETA1), beta2 = lopt__number(opt, BETA2);
    return (adam_step){beta1, beta2, (float)(1 - opt->value[BETA1][0]), (float)(1 - opt->value[BETA2][0]),
                       1 - powf(beta1, count), 1 - powf(beta2, count)};
}

static void step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, adam_step s, const lopt__io *io)
{
    float rate = lopt__tensor_rate(t, lopt__number(opt, LEARNING_RATE));
    float decay = lopt__tensor_decay(t, lopt__number(opt, WEIGHT_DECAY));
    float epsilon = lopt__number(opt, EPSILON), epsilon_root = lopt__number(opt, EPSILON_ROOT);
    int64_t n = t->view.size;
    float *restrict p = io->params + t->offset;
    const float *restrict g = io->grads + t->offset;
    float *restrict m = t->data, *restrict v = t->data + n;
    float *updates = io->updates ? io->updates + t->offset : NULL;
    for (int64_t i = 0; i < n; i++) {
        m[i] = s.beta1 * m[i] + s.one_minus_beta1 * g[i];
        v[i] = s.beta2 * v[i] + s.one_minus_beta2 * (g[i] * g[i]);
        float direction = m[i] / s.correction1 / (sqrtf(v[i] / s.correction2 + epsilon_root) + epsilon);
        float update = -rate * (direction + decay * p[i]);
        p[i] += update;
        if (updates)
            updates[i] = update;
    }
}

static void step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io)
{
    adam_step s = corrections(opt, state->header->step);
    for (size_t i = 0; i < state->n_tensors; i++)
        step_tensor(opt, &state->tensors[i], s, io);
}

const lopt__kind lopt__adam = {
    .name = "adam",
    .hypers = hypers,
    .n_hypers = LOPT__COUNT(hypers),
    .presets = presets,
    .n_presets = LOPT__COUNT(presets),
    .tensor_floats = tensor_floats,
    .step = step,
};
