/* SPDX-License-Identifier: Apache-2.0
 *
 * celo.c - Celo (Moudgil et al. 2025, 2501.12670): a per-parameter network, and a controller that
 * schedules its steps from time and losses alone.
 *
 *     18 inputs about the run (controller.h) -> controller, one row for all tensors -> c, s
 *     weights of the network = mean over k of softmax(c)_k (network k; published: one network)
 *     each parameter: 30 features -> normalise -> network -> (o0, o1)
 *     step = o0 exp(o1 exp_mult) sqrt(mean p^2 + 1e-9) step_mult, in phase 2 times 0.1 exp(s)
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * It is meta-trained in two phases: train_phase 1 is the network alone, with blocks
 * lstm_init_state/... and rnn_params/... frozen; train_phase 2 adds the schedule, with
 * ff_mod_stack/... frozen. It runs in phase 2. */
#include <math.h>
#include <string.h>

#include "classical/schedule.h"
#include "kernels/job.h"
#include "learned/controlled_bank.h"

enum {
    LSTM_HIDDEN_SIZE,
    PARAM_INITS,
    HIDDEN_SIZE,
    HIDDEN_LAYERS,
    TRAIN_PHASE,
    LEARNING_RATE,
    LAST_OF_SCHEDULE = LEARNING_RATE + LOPT__N_SCHEDULE - 1,
    STEP_MULT,
    EXP_MULT,
    PARAM_SCALE_MULT,
    WEIGHT_DECAY,
    WEIGHT_DECAY_USES,
    MOMENTUM_DECAYS,
    RMS_DECAYS,
    ADAFACTOR_DECAYS,
    NUM_STEPS,
    TIE_RULE
};

static const lopt__hyper hypers[] = {
    [LSTM_HIDDEN_SIZE] = LOPT__HYPER_LSTM_HIDDEN_SIZE("64"),
    [PARAM_INITS] = LOPT__HYPER_PARAM_INITS("1"),
    [HIDDEN_SIZE] = LOPT__HYPER_HIDDEN_SIZE("4"),
    [HIDDEN_LAYERS] = LOPT__HYPER_HIDDEN_LAYERS("2"),
    [TRAIN_PHASE] = {"train_phase", LOPT__INTEGER, 1, 1, 2, NULL, "2",
                     "1: per-parameter network alone; 2: with the learned schedule"},
    LOPT__SCHEDULE_HYPERS(LEARNING_RATE, "1", LOPT__RATE_HELP),
    [STEP_MULT] = LOPT__HYPER_STEP_MULT("0.001"),
    [EXP_MULT] = LOPT__HYPER_EXP_MULT("0.001"),
    [PARAM_SCALE_MULT] = LOPT__HYPER_PARAM_SCALE_MULT("true"),
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [WEIGHT_DECAY_USES] = LOPT__HYPER_WEIGHT_DECAY_USES("before"),
    [MOMENTUM_DECAYS] = LOPT__HYPER_MOMENTUM_DECAYS("[0.9, 0.99, 0.999]"),
    [RMS_DECAYS] = LOPT__HYPER_RMS_DECAYS("0.999"),
    [ADAFACTOR_DECAYS] = LOPT__HYPER_ADAFACTOR_DECAYS("[0.9, 0.99, 0.999]"),
    [NUM_STEPS] = LOPT__HYPER_NUM_STEPS,
    [TIE_RULE] = LOPT__HYPER_TIE_RULE("stable"),
};

static const lopt__preset presets[] = {
    {{"celo", "celo", "a per-parameter network with a learned schedule", "Moudgil et al., 2025 (2501.12670)", 1},
     {{0}}},
    {{"celo-phase1", "celo", "Celo's per-parameter network alone", "Moudgil et al., 2025 (2501.12670)", 1},
     {{"train_phase", "1"}}},
};

static lopt__bank_shape celo_bank_shape(const lopt_optimizer *opt) {
    return (lopt__bank_shape){.n = lopt__read_integer(opt, PARAM_INITS),
                              .hidden = lopt__read_integer(opt, HIDDEN_SIZE),
                              .hidden_layers = lopt__read_integer(opt, HIDDEN_LAYERS),
                              .outputs = 2};
}

/* ---- theta ----------------------------------------------------------------------------------- */

static void celo_layout(lopt_optimizer *opt) {
    lopt__bank_shape shape = celo_bank_shape(opt);
    lopt__controlled_layout(opt, &shape, LOPT__N_RUN_INPUTS, lopt__read_integer(opt, LSTM_HIDDEN_SIZE));
}

static size_t celo_prepared_bytes(const lopt_optimizer *opt) {
    lopt__bank_shape shape = celo_bank_shape(opt);
    return lopt__controlled_bytes(&shape);
}

static void celo_prepare(lopt_optimizer *opt) {
    lopt__bank_shape shape = celo_bank_shape(opt);
    lopt__controlled_prepare(opt, &shape, MOMENTUM_DECAYS, RMS_DECAYS, ADAFACTOR_DECAYS);
}

/* ---- state ----------------------------------------------------------------------------------- */

static lopt__tie celo_tie(const lopt_optimizer *opt) {
    return (lopt__tie)lopt__read_integer(opt, TIE_RULE);
}

static size_t celo_global_floats(const lopt_optimizer *opt, size_t n_tensors) {
    (void)n_tensors;
    return lopt__run_floats(lopt__read_integer(opt, LSTM_HIDDEN_SIZE), 1);
}

static void celo_reset(const lopt_optimizer *opt, lopt_state *state) {
    const lopt__controlled *ready = (const lopt__controlled *)opt->prepared;
    lopt__schedule_reset(&ready->controller, state->global, lopt__planned_steps(opt, state, NUM_STEPS));
}

/* ---- scratch --------------------------------------------------------------------------------- */

typedef struct scratch {
    float *schedule, *controls;
    float *mixed; /* [lopt__bank_floats] */
    float *network;
    float *kernel;
    size_t floats;
} scratch;

/* base NULL: only the size means something. */
static scratch celo_scratch_at(const lopt_optimizer *opt, const lopt_state *state, float *base) {
    scratch s = {0};
    lopt__bank_shape shape = celo_bank_shape(opt);
    s.schedule = lopt__take_floats(base, &s.floats, lopt__schedule_scratch(lopt__read_integer(opt, LSTM_HIDDEN_SIZE)));
    s.controls = lopt__take_floats(base, &s.floats, (size_t)shape.n);
    s.mixed = lopt__take_floats(base, &s.floats, lopt__bank_floats(&shape));
    s.network = lopt__take_floats(base, &s.floats, lopt__bank_mlp_floats(&shape));
    s.kernel = lopt__take_floats(base, &s.floats, lopt__kernel_scratch_most(state, shape.hidden));
    return s;
}

static size_t celo_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return celo_scratch_at(opt, state, NULL).floats;
}

/* ---- step ------------------------------------------------------------------------------------ */

static void softmax_in_place(float *x, int n) {
    float most = x[0], sum = 0;
    for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < n; i++) sum += x[i] = expf(x[i] - most);
    for (int i = 0; i < n; i++) x[i] /= sum;
}

/* The network that all tensors share. */
static void mix_celo_network(const lopt_optimizer *opt, const scratch *s, lopt__mlp *mlp) {
    const lopt__controlled *ready = (const lopt__controlled *)opt->prepared;
    lopt__bank_shape shape = celo_bank_shape(opt);
    int64_t size = (int64_t)lopt__bank_floats(&shape);
    const float *packed = ready->bank;
    if (shape.n > 1) {
        softmax_in_place(s->controls, shape.n);
        memset(s->mixed, 0, (size_t)size * sizeof(float));
        lopt__kernels_current()->multiply(1, size, shape.n, s->controls, shape.n, ready->bank, size, s->mixed, size);
        packed = s->mixed;
    }
    lopt__bank_network(&shape, packed, 1.0f / (float)shape.n, LOPT__ALL_GROUPS, mlp, s->network);
}

static void celo_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const lopt__controlled *ready = (const lopt__controlled *)opt->prepared;
    scratch s = celo_scratch_at(opt, state, state->scratch);
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
    float schedule = 1;
    if (lopt__read_integer(opt, TRAIN_PHASE) == 2 || lopt__read_integer(opt, PARAM_INITS) > 1) {
        float rate = lopt__schedule_step(&ready->controller, state->global, state->header->step,
                                         lopt__planned_steps(opt, state, NUM_STEPS), io->loss, s.controls, s.schedule);
        if (lopt__read_integer(opt, TRAIN_PHASE) == 2) schedule = rate;
    }
    mix_celo_network(opt, &s, &mlp);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        job.learning_rate = lopt__tensor_rate(t, lopt__rate_of_update(opt, state, LEARNING_RATE));
        job.weight_decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY));
        job.step_mult = schedule * lopt__read_number(opt, STEP_MULT);
        lopt__job_step(&job, t, io, lopt__read_integer(opt, PARAM_SCALE_MULT));
    }
}

const lopt__kind lopt__celo = {
    .name = "celo",
    LOPT__TABLES,
    .layout = celo_layout,
    .prepared_bytes = celo_prepared_bytes,
    .prepare = celo_prepare,
    .tie = celo_tie,
    .global_floats = celo_global_floats,
    .tensor_floats = lopt__accumulator_floats,
    .scratch_floats = celo_scratch_floats,
    .reset = celo_reset,
    .step = celo_step,
};
