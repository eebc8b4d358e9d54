/* SPDX-License-Identifier: Apache-2.0
 *
 * velo.h - VeLO's step in two halves, so that a test can read and change the inputs of the controller.
 * lopt_step does both. */
#ifndef LOPT_VELO_H
#define LOPT_VELO_H

#include "core/optimizer.h"

#define LOPT__VELO_INPUTS 30

/* Records the loss; returns the controller's inputs [tensors][LOPT__VELO_INPUTS], in scratch. */
float *lopt__velo_set_inputs(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io);
/* The step for the inputs in scratch. */
void lopt__velo_step_from_inputs(const lopt_optimizer *opt, lopt_state *state, const lopt__io *io);

#endif
