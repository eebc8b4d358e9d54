/* SPDX-License-Identifier: Apache-2.0
 *
 * controlled_bank.c - see controlled_bank.h. */
#include "learned/controlled_bank.h"

#include "kernels/normalise.h"

const lopt__pipeline lopt__controlled_pipeline = {.n_features = LOPT__N_EXTENDED,
                                                  .grad_limit = 1000,
                                                  .rms_epsilon = 1e-6f,
                                                  .momentum_epsilon = 0,
                                                  .normalise_epsilon = LOPT__NORMALISE_EPSILON};

void lopt__controlled_layout(lopt_optimizer *opt, const lopt__bank_shape *shape, int n_inputs, int size) {
    lopt__bank_layout(opt, shape);
    lopt__controller_layout(opt, n_inputs, size, shape->n);
}

size_t lopt__controlled_bytes(const lopt__bank_shape *shape) {
    return sizeof(lopt__controlled) + sizeof(float) * (size_t)shape->n * lopt__bank_floats(shape);
}

void lopt__controlled_prepare(lopt_optimizer *opt, const lopt__bank_shape *shape, int momenta, int rms, int adafactor) {
    lopt__controlled *ready = (lopt__controlled *)opt->prepared;
    lopt__decays_from_settings(&ready->decays, opt, momenta, rms, adafactor, 0);
    ready->controller = lopt__controller_from_theta(opt);
    lopt__bank_pack(shape, opt, ready->bank);
}
