/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.h - a dense layer on a few rows: y = x W + b. Weights are not copied from theta. */
#ifndef LOPT_DENSE_H
#define LOPT_DENSE_H

#include "core/optimizer.h"

typedef struct lopt__dense {
    int in, out;
    const float *weight; /* [in][out] */
    const float *bias;   /* [out] */
} lopt__dense;

/* Adds blocks "<name>/w" (truncated normal of scale 1 / sqrt(in)) and "<name>/b" (0) to theta. */
void lopt__dense_layout(lopt_optimizer *opt, const char *name, int in, int out);
/* The layer of that name in the optimizer's theta. */
lopt__dense lopt__dense_from_theta(const lopt_optimizer *opt, const char *name);
/* y[n][out] from x[n][in]. */
void lopt__dense_forward(const lopt__dense *d, int64_t n, const float *x, float *y);

#endif
