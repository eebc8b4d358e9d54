/* SPDX-License-Identifier: Apache-2.0
 *
 * learnable.c - LearnableSGD, LearnableSGDM and LearnableAdam of learned_optimization (Metz et al.
 * 2022, 2203.11860): hand-designed rules whose constants are theta. The smallest learned
 * optimizers.
 *
 *     sgd    log_lr                                      rate = exp(log_lr)
 *     sgdm   log_lr, one_minus_momentum                  momentum = 1 - exp(one_minus_momentum)
 *     adam   log_lr, one_minus_beta1, one_minus_beta2, log_epsilon
 *
 * The rules are those of heavy_ball.h and moments.h (epsilon_root 1e-8). The setting learning_rate (1, with
 * its schedule) multiplies the learned one. Weight decay as in elementwise_update.h. */
#include "classical/heavy_ball.h"
#include "classical/moments.h"

enum { RULE = LOPT__N_COMMON, INITIAL_LEARNING_RATE, INITIAL_MOMENTUM, INITIAL_BETA1, INITIAL_BETA2, INITIAL_EPSILON };
enum { RULE_SGD, RULE_SGDM, RULE_ADAM };

#define EPSILON_ROOT 1e-8f
#define MOST 0.99999994 /* the largest float below 1 */

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("1", "0"),
    [RULE] = {"rule", LOPT__CHOICE, 1, 0, 0, "sgd|sgdm|adam", "sgd", "whose constants are learned"},
    [INITIAL_LEARNING_RATE] = {"initial_learning_rate", LOPT__NUMBER, 1, 1e-30, 1e6, NULL, "0.01",
                               "learning rate in an initial theta"},
    [INITIAL_MOMENTUM] = {"initial_momentum", LOPT__NUMBER, 1, 0, MOST, NULL, "0.9",
                          "sgdm: momentum in an initial theta"},
    [INITIAL_BETA1] = {"initial_beta1", LOPT__NUMBER, 1, 0, MOST, NULL, "0.9", "adam: beta1 in an initial theta"},
    [INITIAL_BETA2] = {"initial_beta2", LOPT__NUMBER, 1, 0, MOST, NULL, "0.999", "adam: beta2 in an initial theta"},
    [INITIAL_EPSILON] = {"initial_epsilon", LOPT__NUMBER, 1, 1e-30, 1e6, NULL, "1e-8",
                         "adam: epsilon in an initial theta"},
};

#define SOURCE "Metz et al., 2022 (2203.11860)"

static const lopt__preset presets[] = {
    {{"learnable-sgd", "learnable", "gradient descent with a learned rate", SOURCE, 1}, {{0}}},
    {{"learnable-sgdm", "learnable", "heavy-ball momentum with learned rate and momentum", SOURCE, 1},
     {{"rule", "sgdm"}}},
    {{"learnable-adam", "learnable", "Adam with four learned constants", SOURCE, 1},
     {{"rule", "adam"}, {"initial_learning_rate", "0.001"}}},
};

/* The constants of the rules, from theta. */
typedef struct prepared {
    float rate, momentum, beta1, beta2, epsilon;
} prepared;

static void add_scalar_block(lopt_optimizer *opt, const char *name, double value) {
    lopt__add_block(opt, name, 0, NULL, LOPT__INIT_VALUES, 0)->values[0] = (float)log(value);
}

static void learnable_layout(lopt_optimizer *opt) {
    int rule = lopt__read_integer(opt, RULE);
    add_scalar_block(opt, "log_lr", opt->value[INITIAL_LEARNING_RATE][0]);
    if (rule == RULE_SGDM) add_scalar_block(opt, "one_minus_momentum", 1 - opt->value[INITIAL_MOMENTUM][0]);
    if (rule == RULE_ADAM) {
        add_scalar_block(opt, "one_minus_beta1", 1 - opt->value[INITIAL_BETA1][0]);
        add_scalar_block(opt, "one_minus_beta2", 1 - opt->value[INITIAL_BETA2][0]);
        add_scalar_block(opt, "log_epsilon", opt->value[INITIAL_EPSILON][0]);
    }
}

static size_t learnable_prepared_bytes(const lopt_optimizer *opt) {
    (void)opt;
    return sizeof(prepared);
}

/* exp of a scalar of theta; 1 if theta has no such block. */
static float exp_of_theta_scalar(const lopt_optimizer *opt, const char *name) {
    const lopt_block *b = lopt_block_find(opt, name);
    return b ? expf(opt->theta[b->offset]) : 1;
}

static void learnable_prepare(lopt_optimizer *opt) {
    *(prepared *)opt->prepared = (prepared){.rate = exp_of_theta_scalar(opt, "log_lr"),
                                            .momentum = 1.0f - exp_of_theta_scalar(opt, "one_minus_momentum"),
                                            .beta1 = 1.0f - exp_of_theta_scalar(opt, "one_minus_beta1"),
                                            .beta2 = 1.0f - exp_of_theta_scalar(opt, "one_minus_beta2"),
                                            .epsilon = exp_of_theta_scalar(opt, "log_epsilon")};
}

/* Arrays of a tensor's size: none, b, or m and v. */
static size_t learnable_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    return (size_t)lopt__read_integer(opt, RULE) * (size_t)view->size;
}

static void learnable_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    static lopt__rule *const rules[] = {lopt__descent_rule, lopt__heavy_ball_rule, lopt__adam_rule};
    const prepared *c = (const prepared *)opt->prepared;
    int rule = lopt__read_integer(opt, RULE);
    float rate = c->rate * lopt__scheduled_rate(opt, state);
    lopt__heavy_ball_constants ball = {.momentum = c->momentum};
    /* beta is a float, so 1 - beta in double rounds to 1 - beta in float. */
    lopt__adam_constants adam = {.moments = lopt__moments_at_step(c->beta1, c->beta2, state->header->step),
                                 .epsilon = c->epsilon,
                                 .epsilon_root = EPSILON_ROOT};
    const void *constants = rule == RULE_ADAM ? (const void *)&adam : &ball;
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        lopt__step_tensor(opt, t, io, lopt__tensor_rate(t, rate), rules[rule], constants);
    }
}

const lopt__kind lopt__learnable = {
    .name = "learnable",
    LOPT__TABLES,
    .layout = learnable_layout,
    .prepared_bytes = learnable_prepared_bytes,
    .prepare = learnable_prepare,
    .tensor_floats = learnable_tensor_floats,
    .step = learnable_step,
};
