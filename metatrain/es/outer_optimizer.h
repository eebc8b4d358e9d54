/* SPDX-License-Identifier: Apache-2.0
 *
 * outer_optimizer.h - the update of theta from an estimated gradient.
 *
 *     adam   theta -= lr * mhat / (sqrt(vhat + epsilon_root) + epsilon)
 *     adamw  the same plus lr * weight_decay * theta
 *     sgd    theta -= lr * m,  m = beta1 * m + gradient
 *     lion   theta -= lr * (sign(beta1 * m + (1 - beta1) * gradient) + weight_decay * theta),
 *            then m = beta2 * m + (1 - beta2) * gradient
 *
 * lr is that of schedules.h. The gradient of each outer step is first scaled to a global norm of at
 * most gradient_clip (0: as it is). With accumulate > 1, so many outer steps make one update with the
 * mean of their gradients, and updates are what the schedule counts. Frozen parameters are neither moved
 * nor decayed. A gradient that is not finite changes nothing, not even the moments, and is counted; a
 * step that would overflow a number leaves it.
 *
 * Sources: Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), Lion (Chen et al. 2023). */
#ifndef MT_OUTER_H
#define MT_OUTER_H

#include "config/config.h"

typedef struct mt_outer {
    const mt_config *cfg;         /* borrowed */
    const unsigned char *trained; /* [n] 1 or 0; borrowed */
    size_t n;
    int64_t updates; /* done so far */
    int64_t skipped; /* gradients that were not finite */
    double *m, *v;   /* [n] each */
    double *sum;     /* [n + 2]: gradients since the last update, how many, of how many outer steps;
                        NULL unless accumulate > 1 */
} mt_outer;

typedef struct mt_outer_norms {
    double gradient, update, theta, learning_rate; /* gradient: before clipping */
} mt_outer_norms;

int mt_outer_open(mt_outer *o, const mt_config *cfg, const unsigned char *trained, size_t n, lopt_error *err);
void mt_outer_close(mt_outer *o);
/* One outer step. */
void mt_outer_update(mt_outer *o, double *gradient, float *theta, mt_outer_norms *norms); /* clips gradient in place */

#endif
