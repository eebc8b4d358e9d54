/* SPDX-License-Identifier: Apache-2.0
 *
 * adopt.c - ADOPT (Taniguchi et al. 2024, 2411.02853; optax.contrib.adopt).
 *
 *     d = g / max(sqrt(v), epsilon), clipped to [-T^clip_power, T^clip_power], T updates done
 *     m <- beta1 m + (1 - beta1) d
 *     p <- p - learning_rate (m + weight_decay p)
 *     v <- beta2 v + (1 - beta2) g^2
 *
 * The first step only sets v = g^2. State: m, v. */
#include <string.h>

#include "classical/moments.h"

enum { BETA1 = LOPT__N_COMMON, BETA2, EPSILON, CLIP, CLIP_POWER };

static const lopt__hyper hypers[] = {
    LOPT__COMMON_HYPERS("0.001", "0"),
    [BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, "0.9", "decay of the mean direction"},
    [BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, "0.9999", "decay of the mean square"},
    [EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, "1e-6", "least value of the root"},
    [CLIP] = {"clip", LOPT__BOOLEAN, 1, 0, 1, NULL, "true", "limit the direction"},
    [CLIP_POWER] = {"clip_power", LOPT__NUMBER, 1, 0, 10, NULL, "0.25", "the limit after T updates is T to this power"},
};

static const lopt__preset presets[] = {
    {{"adopt", "adopt", "Adam that divides by the root of earlier gradients only",
      "Taniguchi et al., 2024 (2411.02853)", 0},
     {{0}}},
};

typedef struct adopt_constants {
    lopt__moments moments;
    float epsilon, limit;
    int first;
} adopt_constants;

static void adopt_rule(const lopt__span *s, const void *constants) {
    const adopt_constants *c = (const adopt_constants *)constants;
    const lopt__moments k = c->moments;
    const float epsilon = c->epsilon, limit = c->limit, rate = s->rate, decay = s->decay;
    const float *restrict p = s->p, *restrict g = s->g;
    float *restrict m = lopt__span_array(s, 0), *restrict v = lopt__span_array(s, 1), *restrict update = s->update;
    if (c->first) {
        for (int64_t i = 0; i < s->n; i++) v[i] = g[i] * g[i];
        memset(update, 0, (size_t)s->n * sizeof *update);
        return;
    }
    LOPT__NO_OVERLAP
    for (int64_t i = 0; i < s->n; i++) {
        float direction = g[i] / lopt__larger_of(sqrtf(v[i]), epsilon);
        direction = lopt__smaller_of(lopt__larger_of(direction, -limit), limit);
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * direction;
        update[i] = -rate * (m[i] + decay * p[i]);
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (g[i] * g[i]);
    }
}

static void adopt_step(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io) {
    int64_t done = state->header->step;
    adopt_constants c = {.moments = lopt__moments_at_step(opt->value[BETA1][0], opt->value[BETA2][0], done),
                         .epsilon = lopt__read_number(opt, EPSILON),
                         .limit = lopt__read_integer(opt, CLIP) ? powf((float)done, lopt__read_number(opt, CLIP_POWER))
                                                                : INFINITY,
                         .first = done == 0};
    lopt__step_elementwise(opt, state, io, adopt_rule, &c);
}

const lopt__kind lopt__adopt = {
    .name = "adopt",
    LOPT__TABLES,
    .tensor_floats = lopt__two_array_floats,
    .step = adopt_step,
};
