/* SPDX-License-Identifier: Apache-2.0
 *
 * init_theta.c - initial values of theta: the only use of random numbers in core/. */
#include "core/optimizer.h"
#include "rng/rng.h"

void lopt_init_theta(const lopt_optimizer *opt, uint64_t seed, float *theta) {
    for (size_t i = 0; i < opt->n_blocks; i++) {
        const lopt__block *b = &opt->blocks[i];
        float *out = theta + b->info.offset;
        if (b->init == LOPT__INIT_TRUNCATED_NORMAL) {
            lopt_rng_stream r;
            lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_THETA, i, 0, 0});
            lopt_rng_fill_truncated_normals(&r, b->scale, b->info.size, out);
        } else {
            for (size_t k = 0; k < b->info.size; k++) out[k] = b->init == LOPT__INIT_VALUES ? b->values[k] : 0;
        }
    }
}
