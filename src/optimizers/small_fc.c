/* SPDX-License-Identifier: Apache-2.0
 *
 * small_fc.c - small_fc_lopt, the standard per-parameter network: AdafacMLPLOpt of
 * learned_optimization (Metz et al. 2022, 2203.11860), AdafacLO of PyLO, and ELO.
 *
 *     gradient -> clipping -> accumulators -> 39 features -> normalise -> MLP -> (o0, o1)
 *     step = o0 exp(o1 exp_mult) step_mult
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * learning_rate and weight_decay can be set for each tensor (lopt_tensor); weight decay uses p before or
 * after the step. With mup_base_fan_in this is muLO (Therien et al. 2024, 2406.00153). theta:
 * w0 b0 w1 b1 ... of the MLP; unless decays are raw, also offsets of the decays, momentum_decays (3),
 * rms_decays (1), adafactor_decays (3).
 *
 * Keys of PyLO's config -> settings here:
 *     lr                          learning_rate (of a parameter group: lopt_tensor.lr_scale)
 *     exp_mult, step_mult         the same (ELO has no step_mult: 1)
 *     weight_decay                weight_decay (of a group: lopt_tensor.weight_decay)
 *     initial_momentum_decays     momentum_decays         (likewise rms, adafactor)
 *     momentum_decays             momentum_decay_offsets, the initial value of theta's block
 *                                 momentum_decays, where PyLO has them in the constructor (likewise)
 *     max_grad_norm (null: off)   max_grad_norm (0: off)
 *     clip_grad, clip_norm        clip_norm (0: off)
 *     net_hidden_size             hidden_size
 *     net_hidden_layers           hidden_layers - 1: PyLO counts hidden-to-hidden layers */
#include "classical/schedule.h"
#include "kernels/job.h"
#include "kernels/normalise.h"
#include "learned/gradient_clipping.h"

enum {
    HIDDEN_SIZE,
    HIDDEN_LAYERS,
    LEARNING_RATE,
    LAST_OF_SCHEDULE = LEARNING_RATE + LOPT__N_SCHEDULE - 1,
    STEP_MULT,
    EXP_MULT,
    WEIGHT_DECAY,
    WEIGHT_DECAY_USES,
    MOMENTUM_DECAYS,
    RMS_DECAYS,
    ADAFACTOR_DECAYS,
    DECAY_FORM,
    MOMENTUM_DECAY_OFFSETS,
    RMS_DECAY_OFFSETS,
    ADAFACTOR_DECAY_OFFSETS,
    CLIP_MOMENTUM_DECAYS,
    MAX_GRAD_NORM,
    CLIP_NORM,
    NAN_TO_NUM,
    TIE_RULE,
    MUP_BASE_FAN_IN,
    MUP_HIDDEN_LR_MULT
};
enum { FORM_LEARNED, FORM_RAW };

static const lopt__hyper hypers[] = {
    [HIDDEN_SIZE] = LOPT__HYPER_HIDDEN_SIZE("4"),
    [HIDDEN_LAYERS] = {"hidden_layers", LOPT__INTEGER, 1, 1, LOPT__MAX_HIDDEN_LAYERS, NULL, "2",
                       "hidden layers: 2 is 39-h-h-2"},
    LOPT__SCHEDULE_HYPERS(LEARNING_RATE, "1", LOPT__RATE_HELP),
    [STEP_MULT] = LOPT__HYPER_STEP_MULT("0.001"),
    [EXP_MULT] = LOPT__HYPER_EXP_MULT("0.001"),
    [WEIGHT_DECAY] = LOPT__HYPER_WEIGHT_DECAY("0"),
    [WEIGHT_DECAY_USES] = LOPT__HYPER_WEIGHT_DECAY_USES("after"),
    [MOMENTUM_DECAYS] = {"momentum_decays", LOPT__NUMBER, LOPT__K, 0, 1, NULL, "[0.9, 0.99, 0.999]",
                         "decays of the momenta, before learned offsets"},
    [RMS_DECAYS] = {"rms_decays", LOPT__NUMBER, 1, 0, 1, NULL, "0.999",
                    "decay of the second moment, before its learned offset"},
    [ADAFACTOR_DECAYS] = {"adafactor_decays", LOPT__NUMBER, LOPT__K, 0, 1, NULL, "[0.9, 0.99, 0.999]",
                          "decays of the factored second moments, before learned offsets"},
    [DECAY_FORM] = {"decay_form", LOPT__CHOICE, 1, 0, 0, "learned|raw", "learned",
                    "learned: theta holds offsets, 1-exp(10(log(1-decay)/10+offset)); raw: as given"},
    [MOMENTUM_DECAY_OFFSETS] = {"momentum_decay_offsets", LOPT__NUMBER, LOPT__K, -100, 100, NULL, "[0, 0, 0]",
                                "initial offsets of the momentum decays in theta"},
    [RMS_DECAY_OFFSETS] = {"rms_decay_offsets", LOPT__NUMBER, 1, -100, 100, NULL, "0",
                           "initial offset of the rms decay in theta"},
    [ADAFACTOR_DECAY_OFFSETS] = {"adafactor_decay_offsets", LOPT__NUMBER, LOPT__K, -100, 100, NULL, "[0, 0, 0]",
                                 "initial offsets of the adafactor decays in theta"},
    [CLIP_MOMENTUM_DECAYS] = {"clip_momentum_decays", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                              "clip momentum decays to [0, 1] (the others always are)"},
    [MAX_GRAD_NORM] = {"max_grad_norm", LOPT__NUMBER, 1, 0, 1e30, NULL, "0",
                       "clip the gradient of each tensor to this norm; 0: off"},
    [CLIP_NORM] = {"clip_norm", LOPT__NUMBER, 1, 0, 1e30, NULL, "0",
                   "clip the gradient of all tensors together to this norm; 0: off"},
    [NAN_TO_NUM] = {"nan_to_num", LOPT__BOOLEAN, 1, 0, 1, NULL, "false",
                    "replace NaN gradients by 0 and infinite ones by the largest float"},
    [TIE_RULE] = LOPT__HYPER_TIE_RULE("stable"),
    [MUP_BASE_FAN_IN] = LOPT__HYPER_MUP_BASE_FAN_IN,
    [MUP_HIDDEN_LR_MULT] = LOPT__HYPER_MUP_HIDDEN_LR_MULT,
};

static const lopt__preset presets[] = {
    {{"small-fc", "small_fc", "per-parameter MLP on Adafactor features", "Metz et al., 2022 (2203.11860)", 1}, {{0}}},
    {{"small-fc-pylo", "small_fc", "small-fc as PyLO runs it (AdafacLO)", "PyLO AdafacLO, 2025", 1},
     {{"hidden_size", "32"},
      {"step_mult", "0.01"},
      {"clip_momentum_decays", "true"},
      {"momentum_decay_offsets", "[0.15216392, 0.14245212, 0.06812963]"},
      {"rms_decay_offsets", "0.01079706"},
      {"adafactor_decay_offsets", "[0.18621896, -0.10864615, -0.06185547]"}}},
    {{"mulo", "small_fc", "small-fc for networks of any width: steps scaled by muP",
      "Therien et al., 2024 (2406.00153)", 1},
     {{"hidden_size", "32"}, {"step_mult", "0.01"}, {"nan_to_num", "true"}, {"mup_base_fan_in", "1"}}},
    {{"elo", "small_fc", "small-fc with fixed decays and one learning rate", "PyLO ELO, 2025", 1},
     {{"hidden_size", "32"},
      {"learning_rate", "0.001"},
      {"step_mult", "1"},
      {"weight_decay_uses", "before"},
      {"decay_form", "raw"},
      {"nan_to_num", "true"}}},
};

#define N_OUTPUTS 2

static const lopt__pipeline pipeline = {.n_features = LOPT__N_NORMALISED,
                                        .grad_limit = INFINITY,
                                        .rms_epsilon = 1e-6f,
                                        .momentum_epsilon = 1e-6f,
                                        .normalise_epsilon = LOPT__NORMALISE_EPSILON};

typedef struct prepared {
    lopt__decays decays;
    lopt__mlp mlp;
    _Alignas(64) float weights[]; /* of the MLP, packed */
} prepared;

/* ---- theta -------------------------------------------------------------------------------------- */

static void add_decay_offsets(lopt_optimizer *opt, const char *name, int hyper) {
    int n = hypers[hyper].count;
    lopt__block *b = lopt__add_vector_block(opt, name, n, LOPT__INIT_VALUES, 0);
    for (int i = 0; i < n; i++) b->values[i] = (float)opt->value[hyper][i];
}

static void small_fc_layout(lopt_optimizer *opt) {
    lopt__mlp_layout(opt, LOPT__N_FEATURES, lopt__read_integer(opt, HIDDEN_SIZE),
                     lopt__read_integer(opt, HIDDEN_LAYERS), N_OUTPUTS);
    if (lopt__read_integer(opt, DECAY_FORM) == FORM_RAW) return;
    add_decay_offsets(opt, "momentum_decays", MOMENTUM_DECAY_OFFSETS);
    add_decay_offsets(opt, "rms_decays", RMS_DECAY_OFFSETS);
    add_decay_offsets(opt, "adafactor_decays", ADAFACTOR_DECAY_OFFSETS);
}

static size_t small_fc_prepared_bytes(const lopt_optimizer *opt) {
    return sizeof(prepared) + sizeof(float) * lopt__mlp_floats(LOPT__N_FEATURES, lopt__read_integer(opt, HIDDEN_SIZE),
                                                               lopt__read_integer(opt, HIDDEN_LAYERS), N_OUTPUTS);
}

static void small_fc_prepare(lopt_optimizer *opt) {
    prepared *ready = (prepared *)opt->prepared;
    lopt__decays_from_settings(&ready->decays, opt, MOMENTUM_DECAYS, RMS_DECAYS, ADAFACTOR_DECAYS,
                               lopt__read_integer(opt, CLIP_MOMENTUM_DECAYS));
    lopt__mlp_pack_theta(&ready->mlp, opt, LOPT__N_FEATURES, lopt__read_integer(opt, HIDDEN_SIZE),
                         lopt__read_integer(opt, HIDDEN_LAYERS), N_OUTPUTS, 0, N_OUTPUTS, ready->weights);
}

/* ---- state -------------------------------------------------------------------------------------- */

static lopt__clipping clipping_of_settings(const lopt_optimizer *opt) {
    return (lopt__clipping){lopt__read_number(opt, CLIP_NORM), lopt__read_number(opt, MAX_GRAD_NORM),
                            lopt__read_integer(opt, NAN_TO_NUM)};
}

static lopt__tie small_fc_tie(const lopt_optimizer *opt) {
    return (lopt__tie)lopt__read_integer(opt, TIE_RULE);
}

/* The clipped gradients, if there is clipping. */
static size_t clipped_gradient_floats(const lopt_optimizer *opt, const lopt_state *state) {
    lopt__clipping c = clipping_of_settings(opt);
    return lopt__has_clipping(&c) ? (size_t)lopt__round_up((int64_t)state->n_params) : 0;
}

static size_t small_fc_scratch_floats(const lopt_optimizer *opt, const lopt_state *state) {
    return clipped_gradient_floats(opt, state) + lopt__kernel_scratch_most(state, lopt__read_integer(opt, HIDDEN_SIZE));
}

/* ---- step --------------------------------------------------------------------------------------- */

static void small_fc_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    const prepared *ready = (const prepared *)opt->prepared;
    const float *grads = io->grads;
    lopt__clipping condition = clipping_of_settings(opt);
    if (lopt__has_clipping(&condition)) {
        lopt__clip_gradients(&condition, state, grads, state->scratch);
        grads = state->scratch;
    }
    float time[LOPT__N_TIME];
    lopt__time_features_tanh(state->header->step, time);

    double mean_square[LOPT__N_EXTENDED];
    lopt__io clipped = *io;
    clipped.grads = grads;
    lopt__job job = {
        .pipeline = &pipeline,
        .decays = &ready->decays,
        .mlp = &ready->mlp,
        .time = time,
        .decay_uses_updated = lopt__read_integer(opt, WEIGHT_DECAY_USES) == LOPT__USES_AFTER,
        .step_mult = lopt__read_number(opt, STEP_MULT),
        .exp_mult = lopt__read_number(opt, EXP_MULT),
        .mean_square = mean_square,
        .scratch = state->scratch + clipped_gradient_floats(opt, state),
    };
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        job.learning_rate = lopt__tensor_rate(t, lopt__rate_of_update(opt, state, LEARNING_RATE));
        job.weight_decay = lopt__tensor_decay(t, lopt__read_number(opt, WEIGHT_DECAY));
        lopt__job_step(&job, t, &clipped, 0);
    }
}

const lopt__kind lopt__small_fc = {
    .name = "small_fc",
    LOPT__TABLES,
    .layout = small_fc_layout,
    .prepared_bytes = small_fc_prepared_bytes,
    .prepare = small_fc_prepare,
    .tie = small_fc_tie,
    .tensor_floats = lopt__accumulator_floats,
    .scratch_floats = small_fc_scratch_floats,
    .step = small_fc_step,
};
