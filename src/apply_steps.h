/* SPDX-License-Identifier: Apache-2.0
 *
 * apply_steps.h - the end of a learned optimizer's step where no kernel has done it:
 *
 *     p <- p - learning_rate (step + weight_decay p)
 *
 * with p before the step, learning rate and weight decay of the tensor (lopt_tensor). */
#ifndef LOPT_APPLY_STEPS_H
#define LOPT_APPLY_STEPS_H

#include "optimizer.h"

/* n parameters from element `first` of all params on, reported in io->updates. */
static inline void lopt__apply_steps(const lopt__io *io, int64_t first, int64_t n,
                                     float learning_rate, float weight_decay,
                                     const float *restrict step)
{
    float *restrict p = io->params + first;
    float *restrict report = io->updates ? io->updates + first : NULL;
    for (int64_t i = 0; i < n; i++) {
        float update = -learning_rate * (step[i] + weight_decay * p[i]);
        p[i] += update;
        if (report)
            report[i] = update;
    }
}

#endif
