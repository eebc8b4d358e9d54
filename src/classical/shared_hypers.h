/* SPDX-License-Identifier: Apache-2.0
 *
 * shared_hypers.h - hyperparameters that several kinds declare. The argument is the default. */
#ifndef LOPT_SHARED_HYPERS_H
#define LOPT_SHARED_HYPERS_H

#define LOPT__HYPER_HIDDEN_SIZE(value)                                                                                 \
    { "hidden_size", LOPT__INTEGER, 1, 1, LOPT__MAX_HIDDEN, NULL, value, "units of each hidden layer" }
#define LOPT__HYPER_HIDDEN_LAYERS(value)                                                                               \
    {                                                                                                                  \
        "hidden_layers", LOPT__INTEGER, 1, 1, LOPT__MAX_HIDDEN_LAYERS, NULL, value,                                    \
            "hidden layers: 2 is inputs-h-h-outputs"                                                                   \
    }
#define LOPT__HYPER_LSTM_HIDDEN_SIZE(value)                                                                            \
    { "lstm_hidden_size", LOPT__INTEGER, 1, 1, 4096, NULL, value, "units of the recurrent network" }
#define LOPT__HYPER_PARAM_INITS(value)                                                                                 \
    { "param_inits", LOPT__INTEGER, 1, 1, 4096, NULL, value, "per-parameter networks that the recurrent network mixes" }
#define LOPT__HYPER_LEARNING_RATE(value)                                                                               \
    { "learning_rate", LOPT__NUMBER, 1, 0, 1e6, NULL, value, "factor of the step and of weight decay" }
#define LOPT__RATE_HELP "factor of the step and of weight decay; with a schedule its peak"
#define LOPT__HYPER_STEP_MULT(value)                                                                                   \
    { "step_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, value, "factor of the step" }
#define LOPT__HYPER_EXP_MULT(value)                                                                                    \
    { "exp_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, value, "factor of the magnitude output, inside the exponential" }
#define LOPT__HYPER_WEIGHT_DECAY(value)                                                                                \
    { "weight_decay", LOPT__NUMBER, 1, 0, 1e6, NULL, value, "times learning_rate" }
#define LOPT__HYPER_WEIGHT_DECAY_USES(value)                                                                           \
    {                                                                                                                  \
        "weight_decay_uses", LOPT__CHOICE, 1, 0, 0, "before|after", value,                                             \
            "weight decay is taken of p before or after the step"                                                      \
    }
#define LOPT__HYPER_MOMENTUM_DECAYS(value)                                                                             \
    { "momentum_decays", LOPT__NUMBER, LOPT__K, 0, 1, NULL, value, "decays of the momenta" }
#define LOPT__HYPER_RMS_DECAYS(value)                                                                                  \
    { "rms_decays", LOPT__NUMBER, 1, 0, 1, NULL, value, "decay of the second moment" }
#define LOPT__HYPER_ADAFACTOR_DECAYS(value)                                                                            \
    { "adafactor_decays", LOPT__NUMBER, LOPT__K, 0, 1, NULL, value, "decays of the factored second moments" }
#define LOPT__HYPER_PARAM_SCALE_MULT(value)                                                                            \
    {                                                                                                                  \
        "param_scale_mult", LOPT__BOOLEAN, 1, 0, 1, NULL, value,                                                       \
            "steps are in units of the root mean square of the tensor"                                                 \
    }
#define LOPT__HYPER_TIE_RULE(value)                                                                                    \
    {                                                                                                                  \
        "tie_rule", LOPT__CHOICE, 1, 0, 0, "stable|pylo-velo", value,                                                  \
            "which of two equally large axes counts as the larger"                                                     \
    }
#define LOPT__HYPER_NUM_STEPS                                                                                          \
    {                                                                                                                  \
        "num_steps", LOPT__INTEGER, 1, 0, 1e12, NULL, "0",                                                             \
            "planned length of training; 0: that of the caller, or 10000 if unknown"                                   \
    }

/* Applied in state.c (lopt_mup_lr_scale in lopt.h). */
#define LOPT__HYPER_MUP_BASE_FAN_IN                                                                                    \
    {                                                                                                                  \
        "mup_base_fan_in", LOPT__INTEGER, 1, 0, 1e9, NULL, "0",                                                        \
            "muP: rates of weights between hidden layers are multiplied by this over fan-in; 0: off"                   \
    }
#define LOPT__HYPER_MUP_HIDDEN_LR_MULT                                                                                 \
    { "mup_hidden_lr_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, "1", "further factor of these rates, if muP is on" }

enum { LOPT__USES_BEFORE, LOPT__USES_AFTER }; /* weight_decay_uses */

#endif
