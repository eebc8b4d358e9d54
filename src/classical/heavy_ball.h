/* SPDX-License-Identifier: Apache-2.0
 *
 * heavy_ball.h - gradient descent and heavy-ball momentum (Polyak 1964) as rules (elementwise_update.h),
 * for kinds whose rate and momentum are settings (sgd.c) or learned (learnable.c).
 *
 *     b <- g + momentum b
 *     update = -rate (b + decay p)             Nesterov: g + momentum b in place of b */
#ifndef LOPT_HEAVY_BALL_H
#define LOPT_HEAVY_BALL_H

#include "classical/elementwise_update.h"

typedef struct lopt__heavy_ball_constants {
    float momentum;
    int nesterov;
} lopt__heavy_ball_constants;

/* One array: b. */
void lopt__heavy_ball_rule(const lopt__span *s, const void *constants);
/* update = -rate (g + decay p); no state, constants are not used. */
void lopt__descent_rule(const lopt__span *s, const void *constants);

#endif
