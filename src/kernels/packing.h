/* SPDX-License-Identifier: Apache-2.0
 *
 * packing.h - contiguous copies of gradients and parameters for tensors with strided lanes, in the layout of the
 * state: the three passes read them six times.
 *
 *     lopt__pack_job(&packing, &job);       no effect if lanes are contiguous or the tensor is large
 *     kernels->accumulate, moments, apply
 *     lopt__unpack_job(&packing, &job);     copies parameters and updates back and restores job
 *
 * The copies lie at the start of the job's scratch; the kernels get what follows. */
#ifndef LOPT_PACKING_H
#define LOPT_PACKING_H

#include "kernels/kernels.h"

typedef struct lopt__packing {
    int active;
    lopt__view view;    /* layout of the copies */
    lopt__job original; /* the job before packing */
} lopt__packing;

size_t lopt__packing_floats(const lopt__view *view); /* part of lopt__kernel_scratch_floats */
void lopt__pack_job(lopt__packing *packing, lopt__job *job);
void lopt__unpack_job(const lopt__packing *packing, lopt__job *job);

#endif
