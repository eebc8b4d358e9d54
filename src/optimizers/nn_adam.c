/* SPDX-License-Identifier: Apache-2.0
 *
 * nn_adam.c - NNAdam of learned_optimization (Metz et al. 2022, 2203.11860): Adam whose learning
 * rate, beta1, beta2 and epsilon a recurrent network adjusts for each tensor.
 *
 *     g clipped to +-1000
 *     m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g^2        no bias correction
 *     p <- p - learning_rate (lr (1 + epsilon) / (epsilon + sqrt(v + 1e-10)) m + weight_decay p)
 *     19 inputs about the tensor -> LSTM, a row for each tensor -> rnn_to_controls -> c[4]
 *     y <- y + output_scale c,  y <- y - decay_strength (y - y of theta),  y <- scale(unscale(y))
 *
 * The four hyperparameters are stored as y: a tenth of the logarithm of lr, of epsilon, of 1 - beta.
 * theta: the LSTM with its initial state, rnn_to_controls (initially 0: no adjustment), the initial
 * y.
 *
 * State: hidden and cell, a row for each tensor; y, four for each tensor; of a tensor m, v. The
 * lr_scale of a tensor multiplies its steps; it is not an input of the network. */
#include <math.h>
#include <string.h>

#include "classical/apply_steps.h"
#include "classical/elementwise_update.h"
#include "classical/shared_hypers.h"
#include "kernels/param_features.h"
#include "learned/log_magnitude.h"
#include "learned/lstm.h"
#include "learned/tensor_summary.h"

enum {
    LSTM_HIDDEN_SIZE,
    LEARNING_RATE,
    WEIGHT_DECAY,
    OUTPUT_SCALE,
    DECAY_STRENGTH,
    INITIAL_LR,
    INITIAL_BETA1,
    INITIAL_BETA2,
    INITIAL_EPSILON
};

/* Adam's hyperparameters, in the order of the controls. */
enum { LR, BETA1, BETA2, EPSILON, N_CONTROLS };
static const char *const control_block[N_CONTROLS] = {"per_layer_lr", "per_layer_beta1", "per_layer_beta2",
                                                      "per_layer_epsilon"};

#define N_INPUTS 19
#define GRAD_LIMIT 1000.0f

static const lopt__hyper hypers[] = {
    [LSTM_HIDDEN_SIZE] = LOPT__HYPER_LSTM_HIDDEN_SIZE("32"),
    [LEARNING_RATE] = LOPT__HYPER_LEARNING_RATE("1"),
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [OUTPUT_SCALE] = {"output_scale", LOPT__NUMBER, 1, 0, 1e6, NULL, "0.01",
                      "factor of the network's change of the scaled hyperparameters"},
    [DECAY_STRENGTH] = {"decay_strength", LOPT__NUMBER, 1, 0, 1, NULL, "0",
                        "decay towards the initial hyperparameters, per step"},
    [INITIAL_LR] = {"initial_learning_rate", LOPT__NUMBER, 1, 1e-8, 1e3, NULL, "1e-4",
                    "Adam's learning rate in an initial theta"},
    [INITIAL_BETA1] = {"initial_beta1", LOPT__NUMBER, 1, 0, 0.9999, NULL, "0.9", "beta1 in an initial theta"},
    [INITIAL_BETA2] = {"initial_beta2", LOPT__NUMBER, 1, 0, 0.9999, NULL, "0.999", "beta2 in an initial theta"},
    [INITIAL_EPSILON] = {"initial_epsilon", LOPT__NUMBER, 1, 1e-11, 1e4, NULL, "1e-8", "epsilon in an initial theta"},
};

static const lopt__preset presets[] = {
    {{"nn-adam", "nn_adam", "Adam with hyperparameters adjusted by a recurrent network",
      "Metz et al., 2022 (2203.11860)", 1},
     {{0}}},
};

/* ---- Adam's hyperparameters, scaled ---------------------------------------------------------- */

static float scale_control(int control, float value) {
    int is_beta = control == BETA1 || control == BETA2;
    return 0.1f * logf(is_beta ? 1.0f - value : value);
}

static float clamp_between(float x, float low, float high) {
    return x < low ? low : x > high ? high : x; /* NaN stays NaN */
}

static float unscale_control(int control, float y) {
    if (control == LR) return clamp_between(expf(10.0f * y), 1e-8f, 1e3f);
    if (control == EPSILON) return clamp_between(expf(10.0f * y), 1e-11f, 1e4f);
    return 1.0f - expf(clamp_between(10.0f * y, -10, 0));
}

/* ---- theta ----------------------------------------------------------------------------------- */

typedef struct prepared {
    lopt__lstm lstm;
    lopt__linear controls;
    float initial[N_CONTROLS]; /* scaled */
} prepared;

#define CONTROLS "rnn_to_controls_params/rnn_to_controls"

static void nn_adam_layout(lopt_optimizer *opt) {
    int size = lopt__read_integer(opt, LSTM_HIDDEN_SIZE);
    lopt__lstm_layout(opt, N_INPUTS, size);
    lopt__linear_layout(opt, CONTROLS, size, N_CONTROLS);
    opt->blocks[opt->n_blocks - 1].init = LOPT__INIT_ZERO; /* of the weights */
    for (int i = 0; i < N_CONTROLS; i++) {
        lopt__block *b = lopt__add_block(opt, control_block[i], 0, NULL, LOPT__INIT_VALUES, 0);
        b->values[0] = scale_control(i, lopt__read_number(opt, INITIAL_LR + i));
    }
}

static size_t nn_adam_prepared_bytes(const lopt_optimizer *opt) {
    (void)opt;
    return sizeof(prepared);
}

static void nn_adam_prepare(lopt_optimizer *opt) {
    prepared *ready = (prepared *)opt->prepared;
    ready->lstm = lopt__lstm_from_theta(opt);
    ready->controls = lopt__linear_from_theta(opt, CONTROLS);
    for (int i = 0; i < N_CONTROLS; i++) ready->initial[i] = opt->theta[lopt_block_find(opt, control_block[i])->offset];
}

/* ---- state ----------------------------------------------------------------------------------- */

typedef struct memory {
    float *y;             /* [tensors][N_CONTROLS] */
    float *hidden, *cell; /* [tensors][size] */
} memory;

static memory nn_adam_memory_at(const lopt_optimizer *opt, const lopt_state *state) {
    int64_t n = (int64_t)state->n_tensors, size = lopt__read_integer(opt, LSTM_HIDDEN_SIZE);
    float *hidden = state->global + n * N_CONTROLS;
    return (memory){state->global, hidden, hidden + n * size};
}

static size_t nn_adam_global_floats(const lopt_optimizer *opt, size_t n_tensors) {
    return n_tensors * (size_t)(N_CONTROLS + 2 * lopt__read_integer(opt, LSTM_HIDDEN_SIZE));
}

static size_t nn_adam_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    (void)opt;
    return 2 * (size_t)view->size;
}

static void nn_adam_reset(const lopt_optimizer *opt, lopt_state *state) {
    const prepared *ready = (const prepared *)opt->prepared;
    memory m = nn_adam_memory_at(opt, state);
    for (size_t i = 0; i < state->n_tensors; i++) memcpy(m.y + i * N_CONTROLS, ready->initial, sizeof ready->initial);
    lopt__lstm_reset(&ready->lstm, (int64_t)state->n_tensors, m.hidden, m.cell);
}

/* Gradient, then step, of one tensor; inputs and controls of all tensors; the scratch of the LSTM. */
static size_t nn_adam_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    const prepared *ready = (const prepared *)opt->prepared;
    size_t rows = N_INPUTS + N_CONTROLS + lopt__lstm_scratch(&ready->lstm.gates);
    return lopt__largest_tensor(opt, state) + state->n_tensors * rows;
}

/* ---- one tensor ------------------------------------------------------------------------------ */

static float log_magnitude_input(float x) {
    return (float)(0.5 * lopt__log_magnitude(x));
}

/* In the order of names in the published code. y and p: before this step; g, m and v: of this step. */
static void nn_adam_tensor_inputs(const lopt__tensor *t, const float *y, const float *p, const float *g, float *x) {
    int64_t n = t->view.size;
    lopt__summary sg = lopt__summarise_tensor(g, n), sp = lopt__summarise_tensor(p, n);
    lopt__summary sm = lopt__summarise_tensor(t->data, n), sv = lopt__summarise_tensor(t->data + n, n);
    const float inputs[N_INPUTS] = {
        0.2f * lopt__clip_to_limit(y[BETA1], 5),
        0.2f * lopt__clip_to_limit(y[BETA2], 5),
        0.2f * lopt__clip_to_limit(y[EPSILON], 5),
        t->spec.rank == 1 ? 1.0f : -1.0f,
        t->spec.rank == 0 ? 1.0f : -1.0f,
        0.2f * lopt__clip_to_limit(y[LR], 5),
        log_magnitude_input(sg.mean),
        lopt__sign_of(sg.mean),
        log_magnitude_input(sg.mean_abs),
        log_magnitude_input(sm.mean),
        lopt__sign_of(sm.mean),
        log_magnitude_input(sp.mean),
        lopt__sign_of(sp.mean),
        log_magnitude_input(sv.mean),
        lopt__sign_of(sv.mean),
        log_magnitude_input(sg.variance),
        log_magnitude_input(sm.variance),
        log_magnitude_input(sp.variance),
        log_magnitude_input(sv.variance),
    };
    memcpy(x, inputs, sizeof inputs);
}

static void nn_adam_accumulate(const lopt__tensor *t, const float h[N_CONTROLS], const float *restrict g) {
    int64_t n = t->view.size;
    const float beta1 = h[BETA1], beta2 = h[BETA2];
    float *restrict m = t->data, *restrict v = t->data + n;
    for (int64_t i = 0; i < n; i++) {
        m[i] = beta1 * m[i] + (1.0f - beta1) * g[i];
        v[i] = beta2 * v[i] + (1.0f - beta2) * (g[i] * g[i]);
    }
}

static void nn_adam_make_step(const lopt__tensor *t, const float h[N_CONTROLS], float *restrict step) {
    int64_t n = t->view.size;
    const float epsilon = h[EPSILON], rate = h[LR] * (1.0f + epsilon);
    const float *restrict m = t->data, *restrict v = t->data + n;
    for (int64_t i = 0; i < n; i++) step[i] = rate / (epsilon + sqrtf(v[i] + 1e-10f)) * m[i];
}

/* Adam with the hyperparameters y; the network's inputs into x. work: [size]. */
static void nn_adam_step_tensor(const lopt_optimizer *opt, const lopt__tensor *t, const lopt__io *io, const float *y,
                                float *work, float *x) {
    float h[N_CONTROLS];
    for (int i = 0; i < N_CONTROLS; i++) h[i] = unscale_control(i, y[i]);
    for (int64_t i = 0; i < t->view.size; i++) work[i] = lopt__clip_to_limit(io->grads[t->offset + i], GRAD_LIMIT);
    nn_adam_accumulate(t, h, work);
    nn_adam_tensor_inputs(t, y, io->params + t->offset, work, x);
    nn_adam_make_step(t, h, work);
    lopt__apply_steps(io, t->offset, t->view.size, lopt__tensor_rate(t, lopt__read_number(opt, LEARNING_RATE)),
                      lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY)), work);
}

/* ---- step ------------------------------------------------------------------------------------ */

static void move_adam_controls(const lopt_optimizer *opt, const float *controls, float *y) {
    const prepared *ready = (const prepared *)opt->prepared;
    float output_scale = lopt__read_number(opt, OUTPUT_SCALE), back = lopt__read_number(opt, DECAY_STRENGTH);
    for (int i = 0; i < N_CONTROLS; i++) {
        y[i] += output_scale * controls[i];
        if (back > 0) y[i] -= back * (y[i] - ready->initial[i]);
        y[i] = scale_control(i, unscale_control(i, y[i]));
    }
}

static void nn_adam_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const prepared *ready = (const prepared *)opt->prepared;
    memory m = nn_adam_memory_at(opt, state);
    size_t n = state->n_tensors;
    float *work = state->scratch, *inputs = work + lopt__largest_tensor(opt, state);
    float *controls = inputs + n * N_INPUTS, *lstm_scratch = controls + n * N_CONTROLS;
    for (size_t i = 0; i < n; i++)
        nn_adam_step_tensor(opt, &state->tensors[i], io, m.y + i * N_CONTROLS, work, inputs + i * N_INPUTS);
    lopt__lstm_step(&ready->lstm.gates, (int64_t)n, inputs, m.hidden, m.cell, lstm_scratch);
    lopt__linear_forward(&ready->controls, (int64_t)n, m.hidden, controls);
    for (size_t i = 0; i < n; i++) move_adam_controls(opt, controls + i * N_CONTROLS, m.y + i * N_CONTROLS);
}

const lopt__kind lopt__nn_adam = {
    .name = "nn_adam",
    LOPT__TABLES,
    .layout = nn_adam_layout,
    .prepared_bytes = nn_adam_prepared_bytes,
    .prepare = nn_adam_prepare,
    .global_floats = nn_adam_global_floats,
    .tensor_floats = nn_adam_tensor_floats,
    .scratch_floats = nn_adam_scratch_floats,
    .reset = nn_adam_reset,
    .step = nn_adam_step,
};
