/* SPDX-License-Identifier: Apache-2.0
 *
 * job.h - runs a tensor through the passes of kernels.h; the scratch that this takes. */
#ifndef LOPT_JOB_H
#define LOPT_JOB_H

#include "kernels/kernels.h"

/* Scratch for one tensor and a network with `hidden` units a layer, enough for every table. */
size_t lopt__kernel_scratch_floats(const lopt__view *view, int hidden, int n_threads);
size_t lopt__kernel_scratch_most(const lopt_state *state, int hidden); /* the maximum over the tensors of a state */

/* Points the job at a tensor that is normalised as a whole. */
void lopt__job_open(lopt__job *job, const lopt__tensor *t, const lopt__io *io);
/* Root mean square of the tensor's parameters, after moments: sqrt(mean p^2 + 1e-9). */
float lopt__parameter_scale(const lopt__job *job);
/* lopt__job_open and all three passes; `scaled`: steps in units of the parameter scale. */
void lopt__job_step(lopt__job *job, const lopt__tensor *t, const lopt__io *io, int scaled);

#endif
