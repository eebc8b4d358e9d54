/* SPDX-License-Identifier: Apache-2.0
 *
 * schedule.h - the learning rate and its schedule; and the hyperparameters that hand-designed kinds share: these,
 * weight decay, muP. They come first in the kind's table, before its own:
 *
 *     enum { MOMENTUM = LOPT__N_COMMON, NESTEROV };
 *     static const lopt__hyper hypers[] = {
 *         LOPT__COMMON_HYPERS("0.01", "0"),
 *         [MOMENTUM] = {...},
 *
 * A learned kind has the learning rate and its schedule anywhere, in LOPT__N_SCHEDULE places:
 *
 *     enum { HIDDEN_SIZE, LEARNING_RATE, LAST_OF_SCHEDULE = LEARNING_RATE + LOPT__N_SCHEDULE - 1, EXP_MULT };
 *         LOPT__SCHEDULE_HYPERS(LEARNING_RATE, "0.001", "factor of the step and of weight decay; with a schedule its peak"),
 *
 * Learning rate at update t = 0, 1, ... of n = num_steps planned ones, peak = learning_rate,
 * floor = min_learning_rate_mult peak, W = warm-up, C = start of the decay:
 *
 *     t < W         peak t / W
 *     constant      peak
 *     cosine      floor + (peak - floor) (cos(pi x) + 1) / 2,  x = (t - C) / (n - C) clipped to [0, 1]
 *     linear        floor + (peak - floor) (1 - x)
 *     exponential   peak (1 - decay_per_step)^(t - W)
 *     sqrt_decay    peak min(c / W, sqrt(W / c)), c = max(t, 1), W at least 1; also before W
 *     piecewise     linear between the points (knot_steps, knot_rates), constant outside; no warm-up
 *
 * W is warmup_steps if that is not 0, else warmup_fraction n; C = max(W, constant_fraction n). With
 * warmup_rule optlist (the cosine schedule of learned_optimization, for the configurations of OptList) W =
 * max(warmup_fraction, constant_fraction) n unless warmup_fraction is 0, and C = constant_fraction
 * n. Cosine and linear need n: if it is unknown (0), the rate stays at its peak after
 * the warm-up. */
#ifndef LOPT_SCHEDULE_H
#define LOPT_SCHEDULE_H

#include "classical/shared_hypers.h"
#include "core/optimizer.h"

#define LOPT__N_KNOTS 4

/* Places from that of the learning rate on. */
enum {
    LOPT__LEARNING_RATE,
    LOPT__SCHEDULE,
    LOPT__WARMUP_FRACTION,
    LOPT__WARMUP_STEPS,
    LOPT__WARMUP_RULE,
    LOPT__CONSTANT_FRACTION,
    LOPT__MIN_RATE_MULT,
    LOPT__DECAY_PER_STEP,
    LOPT__KNOT_STEPS,
    LOPT__KNOT_RATES,
    LOPT__N_SCHEDULE,
    /* hand-designed kinds alone, whose learning rate is at 0 */
    LOPT__WEIGHT_DECAY = LOPT__N_SCHEDULE,
    LOPT__WEIGHT_DECAY_FORM,
    LOPT__MUP_BASE_FAN_IN,
    LOPT__MUP_HIDDEN_LR_MULT,
    LOPT__N_COMMON
};

/* clang-format off */
#define LOPT__SCHEDULE_HYPERS(at, learning_rate, help)                                             \
    [(at) + LOPT__LEARNING_RATE] = {"learning_rate", LOPT__NUMBER, 1, 0, 1e6, NULL, learning_rate, help}, \
    [(at) + LOPT__SCHEDULE] = {"schedule", LOPT__CHOICE, 1, 0, 0,                                  \
                        "constant|cosine|linear|exponential|sqrt_decay|piecewise", "constant",     \
                        "learning rate over the planned steps"},                                   \
    [(at) + LOPT__WARMUP_FRACTION] = {"warmup_fraction", LOPT__NUMBER, 1, 0, 1, NULL, "0",         \
                               "fraction of the planned steps over which the rate rises from 0"},  \
    [(at) + LOPT__WARMUP_STEPS] = {"warmup_steps", LOPT__INTEGER, 1, 0, 1e12, NULL, "0",           \
                            "the same in steps; 0: warmup_fraction counts"},                       \
    [(at) + LOPT__WARMUP_RULE] = {"warmup_rule", LOPT__CHOICE, 1, 0, 0, "plain|optlist", "plain",  \
                           "optlist: the longer of warm-up and constant part is the warm-up"},     \
    [(at) + LOPT__CONSTANT_FRACTION] = {"constant_fraction", LOPT__NUMBER, 1, 0, 1, NULL, "0",     \
                                 "cosine, linear: fraction of the planned steps before the decay"}, \
    [(at) + LOPT__MIN_RATE_MULT] = {"min_learning_rate_mult", LOPT__NUMBER, 1, 0, 1e6, NULL, "0",  \
                             "cosine, linear: final rate over the peak"},                          \
    [(at) + LOPT__DECAY_PER_STEP] = {"decay_per_step", LOPT__NUMBER, 1, 0, 1, NULL, "7e-5",        \
                              "exponential: relative decrease of the rate per step"},              \
    [(at) + LOPT__KNOT_STEPS] = {"knot_steps", LOPT__NUMBER, LOPT__N_KNOTS, 0, 1e12, NULL,         \
                          "[0, 10000, 20000, 20000]", "piecewise: steps of the knots, increasing"}, \
    [(at) + LOPT__KNOT_RATES] = {"knot_rates", LOPT__NUMBER, LOPT__N_KNOTS, 0, 1e6, NULL,          \
                          "[1e-4, 1e-4, 1e-5, 1e-5]", "piecewise: learning rates at the knots"}

#define LOPT__COMMON_HYPERS(learning_rate, weight_decay)                                           \
    LOPT__SCHEDULE_HYPERS(0, learning_rate, "step size; with a schedule its peak"),                \
    [LOPT__WEIGHT_DECAY] = {"weight_decay", LOPT__NUMBER, 1, 0, 1e6, NULL, weight_decay,           \
                            "weight decay"},                                                       \
    [LOPT__WEIGHT_DECAY_FORM] = {"weight_decay_form", LOPT__CHOICE, 1, 0, 0, "decoupled|gradient", \
                                 "decoupled",                                                      \
                                 "decoupled: p shrinks apart from the rule; gradient: p times "    \
                                 "weight_decay is added to the gradient"},                         \
    [LOPT__MUP_BASE_FAN_IN] = LOPT__HYPER_MUP_BASE_FAN_IN,                                         \
    [LOPT__MUP_HIDDEN_LR_MULT] = LOPT__HYPER_MUP_HIDDEN_LR_MULT
/* clang-format on */

/* Learning rate of the update after `step` updates; without lr_scale. at: place of the learning rate. */
double lopt__rate_at_step(const lopt_optimizer *opt, int at, int64_t step, int64_t num_steps);
/* That of the next update. */
float lopt__rate_of_update(const lopt_optimizer *opt, const lopt_state *state, int at);

#endif
