/* SPDX-License-Identifier: Apache-2.0
 *
 * velo.c - VeLO (Metz et al. 2022, 2211.09760): HyperV2 of learned_optimization, VeLO of PyLO.
 *
 *     each tensor: 30 inputs about the run and the tensor -> controller -> controls c, step size s
 *     weights of the tensor's network = bank_mult mean over k of c_k (network k of the bank)
 *     each parameter: 30 features -> normalise -> network -> (o0, o1)
 *     step = s o0 exp(o1 exp_mult) sqrt(mean p^2 + 1e-9) step_mult
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * The controller's inputs: controller.h's 18 about the run; log magnitude of the mean rms; one-hot
 * number of axes longer than 1 (0 to 4); log magnitudes of the variance of each momentum, and of
 * the mean of (rms - mean m_k)^2, a mistake of the published code that its weights were trained with.
 * The tensor is that before this step's gradient; m and rms are in units of the root mean square of p.
 *
 * Keys of PyLO's config -> settings here: lr -> learning_rate; net_lstm_hidden_size ->
 * lstm_hidden_size; net_param_inits -> param_inits; net_mlp_hidden_size -> hidden_size;
 * net_mlp_hidden_layers -> hidden_layers - 1; the others as in small_fc.c. PyLO computes its decays
 * through logarithms, which changes only the last bit. */
#include <math.h>
#include <string.h>

#include "classical/shared_hypers.h"
#include "kernels/job.h"
#include "learned/controlled_bank.h"
#include "learned/log_magnitude.h"
#include "optimizers/velo.h"

enum {
    LSTM_HIDDEN_SIZE,
    PARAM_INITS,
    HIDDEN_SIZE,
    HIDDEN_LAYERS,
    LEARNING_RATE,
    STEP_MULT,
    EXP_MULT,
    BANK_MULT,
    PARAM_SCALE_MULT,
    WEIGHT_DECAY,
    WEIGHT_DECAY_USES,
    MOMENTUM_DECAYS,
    RMS_DECAYS,
    ADAFACTOR_DECAYS,
    BUGGED_LOSS_FEATURES,
    BUGGED_NEXT_LSTM_STATE,
    NUM_STEPS,
    TIE_RULE,
    MUP_BASE_FAN_IN,
    MUP_HIDDEN_LR_MULT
};

static const lopt__hyper hypers[] = {
    [LSTM_HIDDEN_SIZE] = LOPT__HYPER_LSTM_HIDDEN_SIZE("512"),
    [PARAM_INITS] = LOPT__HYPER_PARAM_INITS("256"),
    [HIDDEN_SIZE] = LOPT__HYPER_HIDDEN_SIZE("4"),
    [HIDDEN_LAYERS] = LOPT__HYPER_HIDDEN_LAYERS("2"),
    [LEARNING_RATE] = LOPT__HYPER_LEARNING_RATE("1"),
    [STEP_MULT] = LOPT__HYPER_STEP_MULT("0.001"),
    [EXP_MULT] = LOPT__HYPER_EXP_MULT("0.001"),
    [BANK_MULT] = {"bank_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, "100", "factor of the mixed weights"},
    [PARAM_SCALE_MULT] = LOPT__HYPER_PARAM_SCALE_MULT("true"),
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [WEIGHT_DECAY_USES] = LOPT__HYPER_WEIGHT_DECAY_USES("after"),
    [MOMENTUM_DECAYS] = LOPT__HYPER_MOMENTUM_DECAYS("[0.9, 0.99, 0.999]"),
    [RMS_DECAYS] = LOPT__HYPER_RMS_DECAYS("0.999"),
    [ADAFACTOR_DECAYS] = LOPT__HYPER_ADAFACTOR_DECAYS("[0.9, 0.99, 0.999]"),
    [BUGGED_LOSS_FEATURES] = {"bugged_loss_features", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                              "means of the loss as for 10 steps, whatever num_steps (HyperV2's default)"},
    [BUGGED_NEXT_LSTM_STATE] = {"bugged_next_lstm_state", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                                "the recurrent state stays at its initial value (the oldest weights)"},
    [NUM_STEPS] = LOPT__HYPER_NUM_STEPS,
    [TIE_RULE] = LOPT__HYPER_TIE_RULE("stable"),
    [MUP_BASE_FAN_IN] = LOPT__HYPER_MUP_BASE_FAN_IN,
    [MUP_HIDDEN_LR_MULT] = LOPT__HYPER_MUP_HIDDEN_LR_MULT,
};

static const lopt__preset presets[] = {
    {{"velo", "velo", "a recurrent network over tensors sets a network per parameter", "Metz et al., 2022 (2211.09760)",
      1},
     {{0}}},
    {{"velo-s", "velo", "VeLO with a small recurrent network, as retrained with Celo",
      "Moudgil et al., 2025 (2501.12670)", 1},
     {{"lstm_hidden_size", "64"}, {"param_inits", "32"}, {"bank_mult", "1"}}},
    {{"velo-pylo", "velo", "VeLO as PyLO runs it", "PyLO VeLO, 2025", 1},
     {{"learning_rate", "0.001"}, {"tie_rule", "pylo-velo"}}},
};

#define N_RANKS 5
#define N_INPUTS (LOPT__N_RUN_INPUTS + 1 + N_RANKS + 2 * LOPT__K)
_Static_assert(N_INPUTS == LOPT__VELO_INPUTS, "velo.h");
#define MEAN_SQUARE_FLOOR 1e-9f
#define BUGGED_STEPS 10

static lopt__bank_shape velo_bank_shape(const lopt_optimizer *opt) {
    return (lopt__bank_shape){.n = lopt__read_integer(opt, PARAM_INITS),
                              .hidden = lopt__read_integer(opt, HIDDEN_SIZE),
                              .hidden_layers = lopt__read_integer(opt, HIDDEN_LAYERS),
                              .outputs = 2};
}

/* ---- theta ----------------------------------------------------------------------------------- */

static void velo_layout(lopt_optimizer *opt) {
    lopt__bank_shape shape = velo_bank_shape(opt);
    lopt__controlled_layout(opt, &shape, N_INPUTS, lopt__read_integer(opt, LSTM_HIDDEN_SIZE));
}

static size_t velo_prepared_bytes(const lopt_optimizer *opt) {
    lopt__bank_shape shape = velo_bank_shape(opt);
    return lopt__controlled_bytes(&shape);
}

static void velo_prepare(lopt_optimizer *opt) {
    lopt__bank_shape shape = velo_bank_shape(opt);
    lopt__controlled_prepare(opt, &shape, MOMENTUM_DECAYS, RMS_DECAYS, ADAFACTOR_DECAYS);
}

/* ---- state ----------------------------------------------------------------------------------- */

static lopt__run velo_run_at(const lopt_optimizer *opt, const lopt_state *state) {
    return lopt__run_in_memory(state->global, lopt__read_integer(opt, LSTM_HIDDEN_SIZE), (int64_t)state->n_tensors);
}

static size_t velo_global_floats(const lopt_optimizer *opt, size_t n_tensors) {
    return lopt__run_floats(lopt__read_integer(opt, LSTM_HIDDEN_SIZE), (int64_t)n_tensors);
}

static lopt__tie velo_tie(const lopt_optimizer *opt) {
    return (lopt__tie)lopt__read_integer(opt, TIE_RULE);
}

static void velo_reset(const lopt_optimizer *opt, lopt_state *state) {
    const lopt__controlled *ready = (const lopt__controlled *)opt->prepared;
    lopt__run run = velo_run_at(opt, state);
    int bugged = lopt__read_integer(opt, BUGGED_LOSS_FEATURES);
    lopt__loss_buffer_reset(run.losses, bugged ? BUGGED_STEPS : lopt__planned_steps(opt, state, NUM_STEPS));
    lopt__lstm_reset(&ready->controller.lstm, (int64_t)state->n_tensors, run.hidden, run.cell);
}

/* ---- scratch --------------------------------------------------------------------------------- */

typedef struct scratch {
    float *inputs, *controls, *step_size; /* a row for each tensor */
    float *hidden, *cell;                 /* copies, if the state is not to change */
    float *controller;
    float *mixed;   /* [tensors][lopt__bank_floats] */
    float *network; /* of one tensor */
    float *kernel;
    size_t floats;
} scratch;

/* base NULL: only the size means something. */
static scratch velo_scratch_at(const lopt_optimizer *opt, const lopt_state *state, float *base) {
    scratch s = {0};
    size_t n = state->n_tensors;
    int size = lopt__read_integer(opt, LSTM_HIDDEN_SIZE);
    size_t kept = lopt__read_integer(opt, BUGGED_NEXT_LSTM_STATE) ? n * (size_t)size : 0;
    lopt__bank_shape shape = velo_bank_shape(opt);
    s.inputs = lopt__take_floats(base, &s.floats, n * N_INPUTS);
    s.controls = lopt__take_floats(base, &s.floats, n * (size_t)shape.n);
    s.step_size = lopt__take_floats(base, &s.floats, n);
    s.hidden = lopt__take_floats(base, &s.floats, kept);
    s.cell = lopt__take_floats(base, &s.floats, kept);
    s.controller = lopt__take_floats(base, &s.floats, lopt__controller_scratch(size, (int64_t)n));
    s.mixed = lopt__take_floats(base, &s.floats, n * lopt__bank_floats(&shape));
    s.network = lopt__take_floats(base, &s.floats, lopt__bank_mlp_floats(&shape));
    s.kernel = lopt__take_floats(base, &s.floats, lopt__kernel_scratch_most(state, shape.hidden));
    return s;
}

static size_t velo_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return velo_scratch_at(opt, state, NULL).floats;
}

/* ---- step ------------------------------------------------------------------------------------ */

static float half_log_magnitude(double x) {
    return (float)(0.5 * lopt__log_magnitude(10 * x));
}

/* The inputs about the tensor. */
static void velo_tensor_inputs(const lopt__tensor *t, const lopt__statistics *s, float *x) {
    double floor = s->mean_p2 < MEAN_SQUARE_FLOOR ? MEAN_SQUARE_FLOOR : s->mean_p2;
    int rank = 0;
    for (int a = 0; a < t->spec.rank; a++) rank += t->spec.dim[a] > 1;
    *x++ = half_log_magnitude(s->mean_rms / sqrt(floor));
    for (int i = 0; i < N_RANKS; i++) *x++ = i == rank;
    for (int k = 0; k < LOPT__K; k++) {
        x[k] = half_log_magnitude(s->variance_m[k] / floor);
        x[LOPT__K + k] = half_log_magnitude(s->rms_around_m[k] / floor);
    }
}

static void set_controller_inputs(const lopt_optimizer *opt, const lopt_state *state, const lopt__loss_buffer *losses,
                                  const lopt__io *io, float *x) {
    lopt__job job = {0};
    float run[LOPT__N_RUN_INPUTS];
    lopt__controller_run_inputs(losses, state->header->step, lopt__planned_steps(opt, state, NUM_STEPS), run);
    for (size_t i = 0; i < state->n_tensors; i++, x += N_INPUTS) {
        lopt__statistics s;
        lopt__job_open(&job, &state->tensors[i], io);
        lopt__kernels_current()->statistics(&job, &s);
        memcpy(x, run, sizeof run);
        velo_tensor_inputs(&state->tensors[i], &s, x + LOPT__N_RUN_INPUTS);
    }
}

static void run_velo_controller(const lopt_optimizer *opt, const lopt_state *state, lopt__run run, const scratch *s) {
    const lopt__controlled *ready = (const lopt__controlled *)opt->prepared;
    int64_t n = (int64_t)state->n_tensors;
    if (lopt__read_integer(opt, BUGGED_NEXT_LSTM_STATE)) {
        size_t bytes = (size_t)(n * ready->controller.size) * sizeof(float);
        memcpy(s->hidden, run.hidden, bytes);
        memcpy(s->cell, run.cell, bytes);
        run.hidden = s->hidden;
        run.cell = s->cell;
    }
    const lopt__controller_out out = {s->controls, s->step_size, s->controller};
    lopt__controller_step(&ready->controller, n, s->inputs, run.hidden, run.cell, &out);
}

/* The networks of all tensors, packed: controls times the bank. */
static void mix_velo_networks(const lopt_optimizer *opt, int64_t n, const scratch *s) {
    const lopt__controlled *ready = (const lopt__controlled *)opt->prepared;
    lopt__bank_shape shape = velo_bank_shape(opt);
    int64_t size = (int64_t)lopt__bank_floats(&shape);
    memset(s->mixed, 0, (size_t)(n * size) * sizeof(float));
    lopt__kernels_current()->multiply(n, size, shape.n, s->controls, shape.n, ready->bank, size, s->mixed, size);
}

float *lopt__velo_set_inputs(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lopt__run run = velo_run_at(opt, state);
    scratch s = velo_scratch_at(opt, state, state->scratch);
    lopt__loss_buffer_update(run.losses, io->loss);
    set_controller_inputs(opt, state, run.losses, io, s.inputs);
    return s.inputs;
}

void lopt__velo_step_from_inputs(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const lopt__controlled *ready = (const lopt__controlled *)opt->prepared;
    lopt__bank_shape shape = velo_bank_shape(opt);
    scratch s = velo_scratch_at(opt, state, state->scratch);
    float mixed_mult = lopt__read_number(opt, BANK_MULT) / (float)shape.n;
    lopt__mlp mlp;
    double mean_square[LOPT__N_EXTENDED];
    lopt__job job = {
        .pipeline = &lopt__controlled_pipeline,
        .decays = &ready->decays,
        .mlp = &mlp,
        .decay_uses_updated = lopt__read_integer(opt, WEIGHT_DECAY_USES) == LOPT__USES_AFTER,
        .exp_mult = lopt__read_number(opt, EXP_MULT),
        .mean_square = mean_square,
        .scratch = s.kernel,
    };
    run_velo_controller(opt, state, velo_run_at(opt, state), &s);
    mix_velo_networks(opt, (int64_t)state->n_tensors, &s);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        lopt__bank_network(&shape, s.mixed + i * lopt__bank_floats(&shape), mixed_mult, LOPT__ALL_GROUPS, &mlp,
                           s.network);
        job.learning_rate = lopt__tensor_rate(t, lopt__read_number(opt, LEARNING_RATE));
        job.weight_decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY));
        job.step_mult = s.step_size[i] * lopt__read_number(opt, STEP_MULT);
        lopt__job_step(&job, t, io, lopt__read_integer(opt, PARAM_SCALE_MULT));
    }
}

static void velo_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    lopt__velo_set_inputs(opt, state, io);
    lopt__velo_step_from_inputs(opt, state, io);
}

const lopt__kind lopt__velo = {
    .name = "velo",
    LOPT__TABLES,
    .layout = velo_layout,
    .prepared_bytes = velo_prepared_bytes,
    .prepare = velo_prepare,
    .tie = velo_tie,
    .global_floats = velo_global_floats,
    .tensor_floats = lopt__accumulator_floats,
    .scratch_floats = velo_scratch_floats,
    .reset = velo_reset,
    .step = velo_step,
};
