/* SPDX-License-Identifier: Apache-2.0
 *
 * job.h - a tensor's way through the passes of kernels.h, and the scratch that it takes. */
#ifndef LOPT_JOB_H
#define LOPT_JOB_H

#include "kernels/kernels.h"

/* Enough for any table, for one tensor and a network with layers of `hidden` units. */
size_t lopt__kernel_scratch_floats(const lopt__view *view, int hidden, int n_threads);
size_t lopt__kernel_scratch_most(const lopt_state *state, int hidden); /* for any tensor of a state */

/* Points the job at a tensor, normalised as a whole. */
void lopt__job_open(lopt__job *job, const lopt__tensor *t, const lopt__io *io);
/* Root mean square of the tensor's parameters, after moments: sqrt(mean p^2 + 1e-9). */
float lopt__parameter_scale(const lopt__job *job);
/* Opens the job, and all passes; `scaled`: steps in units of the parameter scale. */
void lopt__job_step(lopt__job *job, const lopt__tensor *t, const lopt__io *io, int scaled);

#endif
