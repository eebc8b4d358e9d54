/* SPDX-License-Identifier: Apache-2.0
 *
 * celo_adam.c - Celo-Adam (Moudgil et al. 2025, 2501.12670): Adam under Celo's learned schedule.
 *
 *     18 inputs about the run (controller.h) -> controller, one row -> s
 *     g clipped to +-1000;  m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
 *     step = 0.1 exp(s) step_mult m^ / (epsilon + sqrt(v^ + 1e-10))
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * m^ = m / (1 - beta1^T), v^ = v / (1 - beta2^T), T = 1 at the first step; 1 - beta and the powers
 * are computed in float. param_scale_mult: steps in units of sqrt(mean p^2 + 1e-9). State of a tensor:
 * m, v. */
#include <math.h>

#include "classical/shared_hypers.h"
#include "kernels/kernels.h"
#include "learned/controller.h"

enum { LSTM_HIDDEN_SIZE, LEARNING_RATE, STEP_MULT, BETA1, BETA2, EPSILON, PARAM_SCALE_MULT, WEIGHT_DECAY, NUM_STEPS };

#define GRAD_LIMIT 1000.0f
#define ROOT_EPSILON 1e-10f

static const lopt__hyper hypers[] = {
    [LSTM_HIDDEN_SIZE] = LOPT__HYPER_LSTM_HIDDEN_SIZE("64"),
    [LEARNING_RATE] = LOPT__HYPER_LEARNING_RATE("1"),
    [STEP_MULT] = LOPT__HYPER_STEP_MULT("0.001"),
    [BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean of the gradient"},
    [BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.999", "decay of the mean of its square"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added to the root"},
    [PARAM_SCALE_MULT] = LOPT__HYPER_PARAM_SCALE_MULT("false"),
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [NUM_STEPS] = LOPT__HYPER_NUM_STEPS,
};

static const lopt__preset presets[] = {
    {{"celo-adam", "celo_adam", "Adam with a learned schedule", "Moudgil et al., 2025 (2501.12670)", 1}, {{0}}},
};

typedef struct prepared {
    lopt__controller controller;
} prepared;

static void celo_adam_layout(lopt_optimizer *opt) {
    lopt__controller_layout(opt, LOPT__N_RUN_INPUTS, lopt__read_integer(opt, LSTM_HIDDEN_SIZE), 0);
}

static size_t celo_adam_prepared_bytes(const lopt_optimizer *opt) {
    (void)opt;
    return sizeof(prepared);
}

static void celo_adam_prepare(lopt_optimizer *opt) {
    prepared *ready = (prepared *)opt->prepared;
    ready->controller = lopt__controller_from_theta(opt);
}

static size_t celo_adam_global_floats(const lopt_optimizer *opt, size_t n_tensors) {
    (void)n_tensors;
    return lopt__run_floats(lopt__read_integer(opt, LSTM_HIDDEN_SIZE), 1);
}

static size_t celo_adam_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return 2 * (size_t)view->size;
}

static size_t celo_adam_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    (void)state;
    return lopt__schedule_scratch(lopt__read_integer(opt, LSTM_HIDDEN_SIZE));
}

static void celo_adam_reset(const lopt_optimizer *opt, lopt_state *state) {
    const prepared *ready = (const prepared *)opt->prepared;
    lopt__schedule_reset(&ready->controller, state->global, lopt__planned_steps(opt, state, NUM_STEPS));
}

static float root_mean_square_scale(const float *p, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)p[i] * p[i];
    return sqrtf((float)(sum / (double)n) + LOPT__PARAMETER_SCALE_FLOOR);
}

static void celo_adam_step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, int64_t count, const lopt__io *io,
                                  float step_mult) {
    float beta1 = lopt__read_number(opt, BETA1), beta2 = lopt__read_number(opt, BETA2);
    float one_minus_beta1 = 1 - beta1, one_minus_beta2 = 1 - beta2;
    float correction1 = 1 - powf(beta1, (float)count), correction2 = 1 - powf(beta2, (float)count);
    float rate = lopt__tensor_rate(t, lopt__read_number(opt, LEARNING_RATE));
    float decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY));
    float epsilon = lopt__read_number(opt, EPSILON);
    int64_t n = t->view.size;
    float *restrict p = io->params + t->offset;
    const float *restrict g = io->grads + t->offset;
    float *restrict m = t->data, *restrict v = t->data + n;
    float *updates = io->updates ? io->updates + t->offset : NULL;
    if (lopt__read_integer(opt, PARAM_SCALE_MULT)) step_mult *= root_mean_square_scale(p, n);
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < n; i++) {
        float clipped = lopt__clip_to_limit(g[i], GRAD_LIMIT);
        m[i] = beta1 * m[i] + one_minus_beta1 * clipped;
        v[i] = beta2 * v[i] + one_minus_beta2 * (clipped * clipped);
        float step = m[i] / correction1 * (step_mult / (epsilon + sqrtf(v[i] / correction2 + ROOT_EPSILON)));
        float update = -rate * (step + decay * p[i]);
        p[i] += update;
        if (updates) updates[i] = update;
    }
}

static void celo_adam_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const prepared *ready = (const prepared *)opt->prepared;
    float rate = lopt__schedule_step(&ready->controller, state->global, state->header->step,
                                     lopt__planned_steps(opt, state, NUM_STEPS), io->loss, NULL, state->scratch);
    for (size_t i = 0; i < state->n_tensors; i++)
        celo_adam_step_tensor(opt, &state->tensors[i], state->header->step + 1, io,
                              rate * lopt__read_number(opt, STEP_MULT));
}

const lopt__kind lopt__celo_adam = {
    .name = "celo_adam",
    LOPT__TABLES,
    .layout = celo_adam_layout,
    .prepared_bytes = celo_adam_prepared_bytes,
    .prepare = celo_adam_prepare,
    .global_floats = celo_adam_global_floats,
    .tensor_floats = celo_adam_tensor_floats,
    .scratch_floats = celo_adam_scratch_floats,
    .reset = celo_adam_reset,
    .step = celo_adam_step,
};
