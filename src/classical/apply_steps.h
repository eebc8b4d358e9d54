/* SPDX-License-Identifier: Apache-2.0
 *
 * apply_steps.h - the end of a learned optimizer's step where no kernel has done it:
 *
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * with p before the step, learning rate and weight decay of the tensor (lopt_tensor). */
#ifndef LOPT_APPLY_STEPS_H
#define LOPT_APPLY_STEPS_H

#include <string.h>

#include "core/optimizer.h"

/* n parameters from element `first` of all params on. step becomes the update, which io->updates
 * receives. */
static inline void lopt__apply_steps(const lopt__io *io, int64_t first, int64_t n, float learning_rate,
                                     float weight_decay, float *restrict step) {
    float *restrict p = io->params + first;
    for (int64_t i = 0; i < n; i++) {
        step[i] = -learning_rate * (step[i] + weight_decay * p[i]);
        p[i] += step[i];
    }
    if (io->updates) memcpy(io->updates + first, step, (size_t)n * sizeof *step);
}

#endif
