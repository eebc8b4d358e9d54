/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.h - a dense layer on a few rows: y = x W + b. Weights are not copied from theta. */
#ifndef LOPT_LINEAR_H
#define LOPT_LINEAR_H

#include "core/optimizer.h"

typedef struct lopt__linear {
    int in, out;
    const float *weight; /* [in][out] */
    const float *bias;   /* [out] */
} lopt__linear;

/* Adds blocks "<name>/w" (truncated normal of scale 1 / sqrt(in)) and "<name>/b" (0) to theta. */
void lopt__linear_layout(lopt_optimizer *opt, const char *name, int in, int out);
/* The layer of that name in the optimizer's theta. */
lopt__linear lopt__linear_from_theta(const lopt_optimizer *opt, const char *name);
/* y[n][out] from x[n][in]. */
void lopt__linear_forward(const lopt__linear *d, int64_t n, const float *x, float *y);

#endif
