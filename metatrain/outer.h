/* SPDX-License-Identifier: Apache-2.0
 *
 * outer.h - the update of theta from an estimated gradient (spec C.1).
 *
 *     adam   theta -= lr * mhat / (sqrt(vhat) + epsilon)
 *     adamw  the same plus lr * weight_decay * theta
 *     sgd    theta -= lr * m,  m = beta1 * m + gradient
 *
 * The gradient is first scaled to a global norm of at most gradient_clip (0: as it is). Frozen
 * numbers are neither moved nor decayed. A gradient that is not finite changes nothing, not
 * even the moments, and is counted; a step that would overflow a number leaves it. */
#ifndef MT_OUTER_H
#define MT_OUTER_H

#include "config.h"

typedef struct mt_outer {
    const mt_config *cfg; /* borrowed */
    const unsigned char *trained; /* [n] 1 or 0; borrowed */
    size_t n;
    int64_t updates; /* done so far */
    int64_t skipped; /* gradients that were not finite */
    double *m, *v;   /* [n] each */
} mt_outer;

typedef struct mt_outer_norms {
    double gradient, update, theta, learning_rate; /* gradient: before clipping */
} mt_outer_norms;

int mt_outer_open(mt_outer *o, const mt_config *cfg, const unsigned char *trained, size_t n,
                  lopt_error *err);
void mt_outer_close(mt_outer *o);
double mt_outer_learning_rate(const mt_config *cfg, int64_t update); /* update counts from 0 */
void mt_outer_update(mt_outer *o, double *gradient, float *theta,
                     mt_outer_norms *norms); /* clips gradient in place */

#endif
