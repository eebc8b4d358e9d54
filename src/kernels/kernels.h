/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.h - the work that a learned optimizer does for every parameter, in three passes over a tensor.
 *
 *     kernels->accumulate(job)   gradient into the accumulators
 *     kernels->moments(job)      mean square of each feature over the tensor -> job->mean_square
 *     kernels->apply(job)        features, normalised -> network -> update of the parameters
 *
 * reference.c does it plainly, in the order of the formulas; vector.c, compiled once per instruction set,
 * does it fast. choose.c picks a table at first use. */
#ifndef LOPT_KERNELS_H
#define LOPT_KERNELS_H

#include "accumulators.h"
#include "param_features.h"
#include "mlp.h"

/* One tensor in one step. Pointers into params, grads, updates are to the tensor's first element. */
typedef struct lopt__job {
    const lopt__view *view;
    lopt__accumulators acc;
    const lopt__decays *decays;
    const lopt__mlp *mlp;
    const float *time; /* [LOPT__N_TIME] */
    const float *grads;
    float *params;
    float *updates;                         /* or NULL */
    float learning_rate, weight_decay;      /* of this tensor */
    int decay_uses_updated;                 /* weight decay acts on p after the step, else before */
    float step_mult, exp_mult;
    float mean_square[LOPT__N_NORMALISED];  /* written by moments, read by apply */
    float *scratch;                         /* [lopt__kernel_scratch_floats], 64-byte aligned */
} lopt__job;

typedef struct lopt__kernels {
    const char *name;
    void (*accumulate)(lopt__job *job);
    void (*moments)(lopt__job *job);
    void (*apply)(lopt__job *job);
} lopt__kernels;

const lopt__kernels *lopt__kernels_current(void); /* the chosen table */

/* Enough for any table, for one tensor and a network with layers of `hidden` units. */
size_t lopt__kernel_scratch_floats(const lopt__view *view, int hidden);

extern const lopt__kernels lopt__kernels_reference, lopt__kernels_portable;
#if defined(__x86_64__)
extern const lopt__kernels lopt__kernels_avx2, lopt__kernels_avx512;
#endif

#endif
