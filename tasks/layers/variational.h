/* SPDX-License-Identifier: Apache-2.0
 *
 * variational.h - layers of a variational auto-encoder beside dense ones.
 *
 *     stats = ... [batch, 2 latent]: means, then logarithms of standard deviations
 *     z = task_add_gaussian(m, stats);                 mean + std eps, eps ~ N(0, 1) drawn with the batch
 *     out = ... [batch, 2 pixels], of z
 *     task_add_elbo(m, stats, out, target, per_pixel);
 *
 * The loss is the mean over the batch of KL(N(mean, std^2) | N(0, 1)) - sum over pixels of ln p, where ln p is
 * the log-density of N(out mean, out std^2) at target + u, u uniform in +-1/510 (half a step of a byte), plus
 * ln(1/255); both outputs are clipped to [-10, 10]. With per_pixel it is divided by the number of pixels. */
#ifndef TASK_VARIATIONAL_H
#define TASK_VARIATIONAL_H

#include "model/model.h"

int task_add_gaussian(task_model *m, int stats);
int task_add_elbo(task_model *m, int stats, int out, int target, int per_pixel);

#endif
