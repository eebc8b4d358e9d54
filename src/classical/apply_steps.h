/* SPDX-License-Identifier: Apache-2.0
 *
 * apply_steps.h - applies the steps of a learned optimizer that does not use the kernels:
 *
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * with p before the step, learning rate and weight decay of the tensor (lopt_tensor). */
#ifndef LOPT_APPLY_STEPS_H
#define LOPT_APPLY_STEPS_H

#include <string.h>

#include "core/optimizer.h"

/* n parameters from params[first] on. step is overwritten with the update, which io->updates receives. */
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
