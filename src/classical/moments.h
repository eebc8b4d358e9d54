/* SPDX-License-Identifier: Apache-2.0
 *
 * moments.h - Adam's moments and its rule (Kingma and Ba 2015; decoupled decay: Loshchilov and
 * Hutter 2019), which other kinds build on.
 *
 *     m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
 *     m^ = m / (1 - beta1^T), v^ = v / (1 - beta2^T), T = 1 at the first step
 *     update = -rate (m^ / (sqrt(v^ + epsilon_root) + epsilon) + decay p)
 *
 * Rounding follows optax: 1 - beta is computed in double and rounded, powers are in float, so that
 * the first step of Adam differs from the textbook (and PyTorch) by a relative 6e-6.
 *
 * A kind with these moments lists LOPT__MOMENT_HYPERS after LOPT__COMMON_HYPERS; its own start at
 * LOPT__N_MOMENT. */
#ifndef LOPT_MOMENTS_H
#define LOPT_MOMENTS_H

#include "classical/elementwise_update.h"

typedef struct lopt__moments {
    float beta1, beta2, one_minus_beta1, one_minus_beta2;
    float correction1, correction2; /* 1 - beta^T */
    float nesterov_correction;      /* 1 - beta1^(T+1) */
} lopt__moments;

enum { LOPT__BETA1 = LOPT__N_COMMON, LOPT__BETA2, LOPT__EPSILON, LOPT__EPSILON_ROOT, LOPT__N_MOMENT };

#define LOPT__MOMENT_HYPERS(beta1, beta2, epsilon, epsilon_root)                                                       \
    [LOPT__BETA1] = {"beta1", LOPT__NUMBER, 1, 0, 1, NULL, beta1, "decay of the mean gradient"},                       \
    [LOPT__BETA2] = {"beta2", LOPT__NUMBER, 1, 0, 1, NULL, beta2, "decay of the mean square"},                         \
    [LOPT__EPSILON] = {"epsilon", LOPT__NUMBER, 1, 0, 1e6, NULL, epsilon, "added to the root"},                        \
    [LOPT__EPSILON_ROOT] = {"epsilon_root", LOPT__NUMBER, 1, 0, 1e6, NULL, epsilon_root, "added inside the root"}

lopt__moments lopt__moments_at_step(double beta1, double beta2, int64_t updates_done);

typedef struct lopt__adam_constants {
    lopt__moments moments;
    float epsilon, epsilon_root;
    int nesterov; /* Dozat 2016: m^ = beta1 m / (1 - beta1^(T+1)) + (1 - beta1) g / (1 - beta1^T) */
} lopt__adam_constants;

/* Of the kinds that list LOPT__MOMENT_HYPERS. */
lopt__adam_constants lopt__adam_constants_of(const lopt_optimizer *opt, const lopt_state *state);

/* Adam as a rule; arrays m, v. constants: lopt__adam_constants. */
void lopt__adam_rule(const lopt__span *s, const void *constants);

#endif
