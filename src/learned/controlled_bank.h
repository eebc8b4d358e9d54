/* SPDX-License-Identifier: Apache-2.0
 *
 * controlled_bank.h - what VeLO and Celo share: a bank of per-parameter networks (weight_bank.h), the controller
 * that mixes them (controller.h), the preparation of theta, and the features.
 *
 *     lopt__controlled_layout(opt, &shape, n_inputs, size)            in kind->layout
 *     lopt__controlled_bytes(&shape)                                  in kind->prepared_bytes
 *     lopt__controlled_prepare(opt, &shape, momenta, rms, adafactor)  in kind->prepare: fills
 *                                                                     opt->prepared; the last three
 *                                                                     are hyperparameters, decays */
#ifndef LOPT_CONTROLLED_BANK_H
#define LOPT_CONTROLLED_BANK_H

#include "kernels/accumulators.h"
#include "kernels/param_features.h"
#include "learned/controller.h"
#include "learned/weight_bank.h"

typedef struct lopt__controlled {
    lopt__decays decays;
    lopt__controller controller;
    _Alignas(64) float bank[]; /* [shape.n][lopt__bank_floats] */
} lopt__controlled;

extern const lopt__pipeline lopt__controlled_pipeline;

/* n_inputs and size are the controller's. */
void lopt__controlled_layout(lopt_optimizer *opt, const lopt__bank_shape *shape, int n_inputs, int size);
size_t lopt__controlled_bytes(const lopt__bank_shape *shape);
void lopt__controlled_prepare(lopt_optimizer *opt, const lopt__bank_shape *shape, int momenta, int rms, int adafactor);

#endif
