/* SPDX-License-Identifier: Apache-2.0
 *
 * schedule_free.c - schedule-free SGD and AdamW (Defazio et al. 2024, 2405.15682; schedulefree 1.4.1).
 *
 * The parameters are y, where gradients are taken; z makes the steps, x averages them and is what to measure
 * (lopt_eval_params):
 *
 *     d = g                            base sgd
 *     d = g / (sqrt(v^) + epsilon)     base adamw: v <- beta2 v + (1 - beta2) g^2, v^ = v / (1 - beta2^T)
 *     d <- d + weight_decay y
 *     w = T^average_power (largest learning rate so far)^rate_power,  c = w / (sum of w so far); 0 if that is 0
 *     y <- y + c (z - y) - learning_rate (1 - beta1 (1 - c)) d
 *     z <- z - learning_rate d
 *     x = y + (1 - 1 / beta1) (z - y),  that is x <- (1 - c) x + c z and y = beta1 x + (1 - beta1) z
 *
 * T = 1 at the first step, z = x = y before it. x is not stored. A learning rate that falls is not needed; the warm-up
 * of the common settings begins at 0, that of schedulefree at 1 / warmup_steps. For base sgd, beta2 and the epsilons
 * are not used. State of a tensor: z; for adamw v. Global: average_weights. */
#include <string.h>

#include "classical/moments.h"

enum { BASE = LOPT__N_MOMENT, AVERAGE_POWER, RATE_POWER };
enum { BASE_SGD, BASE_ADAMW };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.0025", "0"),
    [LOPT__BETA1] = {"beta1", LOPT__NUMBER, 1, 1e-3, 1, NULL, "0.9",
                     "share of the average in the point where gradients are taken"},
    [LOPT__BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.999", "decay of the mean square"},
    [LOPT__EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-8", "added to the root"},
    [LOPT__EPSILON_ROOT] = {"epsilon_root", LOPT__NUMBER, 1, 0, 1e6, NULL, "0", "added inside the root"},
    [BASE] = {"base", LOPT__CHOICE, 1, 0, 0, "sgd|adamw", "adamw", "the rule whose steps are averaged"},
    [AVERAGE_POWER] = {"average_power", LOPT__NUMBER, 1, 0, 100, NULL, "0",
                       "step T weighs T to this power in the average"},
    [RATE_POWER] = {"rate_power", LOPT__NUMBER, 1, 0, 100, NULL, "2",
                    "a step weighs the largest learning rate so far to this power in the average"},
};

static const lopt__preset presets[] = {
    {{"schedule-free-adamw", "schedule_free", "AdamW whose average replaces a schedule",
      "Defazio et al., 2024 (2405.15682)", 0},
     {{0}}},
    {{"schedule-free-sgd", "schedule_free", "gradient descent whose average replaces a schedule",
      "Defazio et al., 2024 (2405.15682)", 0},
     {{"base", "sgd"}, {"learning_rate", "1"}}},
};

/* In double, because the sum of many small weights must not stop growing. */
typedef struct average_weights {
    double sum, largest_rate;
} average_weights;

static size_t average_weights_floats(const lopt_optimizer *opt, size_t n_tensors) {
    (void)opt;
    (void)n_tensors;
    return sizeof(average_weights) / sizeof(float);
}

static size_t schedule_free_tensor_floats(const lopt_optimizer *opt, const lopt__view *view) {
    return (lopt__read_integer(opt, BASE) == BASE_ADAMW ? 2 : 1) * (size_t)view->size;
}

/* c of this step; counts it. */
static double share_of_step(const lopt_optimizer *opt, lopt_state *state) {
    average_weights w;
    memcpy(&w, state->global, sizeof w);
    w.largest_rate = fmax(w.largest_rate, lopt__rate_at_step(opt, 0, state->header->step, state->header->num_steps));
    double weight = pow((double)(state->header->step + 1), opt->value[AVERAGE_POWER][0]) *
                    pow(w.largest_rate, opt->value[RATE_POWER][0]);
    w.sum += weight;
    memcpy(state->global, &w, sizeof w);
    return w.sum > 0 ? weight / w.sum : 0;
}

typedef struct schedule_free_constants {
    lopt__adam_constants adam;
    int adamw, first;
    float share, shrink; /* c, 1 - beta1 (1 - c) */
} schedule_free_constants;

static void schedule_free_rule(const lopt__span *s, const void *constants) {
    const schedule_free_constants *c = (const schedule_free_constants *)constants;
    const lopt__moments k = c->adam.moments;
    const float epsilon = c->adam.epsilon, epsilon_root = c->adam.epsilon_root;
    const float rate = s->rate, decay = s->decay, share = c->share, shrink = c->shrink;
    const float *restrict y = s->p, *restrict g = s->g;
    float *restrict z = lopt__span_array(s, 0), *restrict update = s->update;
    if (c->first) memcpy(z, y, (size_t)s->n * sizeof *z);
    if (c->adamw) {
        float *restrict v = lopt__span_array(s, 1);
        LOPT__NO_OVERLAP
        for (int64_t i = 0; i < s->n; i++) {
            v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (g[i] * g[i]);
            update[i] = g[i] / (sqrtf(v[i] / k.correction2 + epsilon_root) + epsilon) + decay * y[i];
        }
    } else {
        LOPT__NO_OVERLAP
        for (int64_t i = 0; i < s->n; i++) update[i] = g[i] + decay * y[i];
    }
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        float direction = rate * update[i];
        update[i] = share * (z[i] - y[i]) - shrink * direction;
        z[i] -= direction;
    }
}

static void schedule_free_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    double share = share_of_step(opt, state);
    schedule_free_constants c = {.adam = lopt__adam_constants_of(opt, state),
                                 .adamw = lopt__read_integer(opt, BASE) == BASE_ADAMW,
                                 .first = state->header->step == 0,
                                 .share = (float)share,
                                 .shrink = (float)(1 - opt->value[LOPT__BETA1][0] * (1 - share))};
    lopt__step_elementwise(opt, state, io, schedule_free_rule, &c);
}

static void schedule_free_average(const lopt_optimizer *opt, const lopt_state *state, const float *params, float *out) {
    const float beyond = (float)(1 - 1 / opt->value[LOPT__BETA1][0]);
    for (size_t i = 0; i < state->n_tensors; i++) {
        const lopt__tensor *t = &state->tensors[i];
        const float *restrict y = params + t->offset, *restrict z = t->data;
        float *restrict x = out + t->offset;
        for (int64_t k = 0; k < t->view.size; k++) x[k] = y[k] + beyond * (z[k] - y[k]);
    }
}

const lopt__kind lopt__schedule_free = {
    .name = "schedule_free",
    LOPT__TABLES,
    .global_floats = average_weights_floats,
    .tensor_floats = schedule_free_tensor_floats,
    .step = schedule_free_step,
    .eval_params = schedule_free_average,
};
