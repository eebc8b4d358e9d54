/* SPDX-License-Identifier: Apache-2.0
 *
 * theta.c - theta of an optimizer: its blocks, initial values, replacement. */
#include <stdio.h>
#include <string.h>

#include "core/optimizer.h"
#include "rng/rng.h"

lopt__block *lopt__add_block(lopt_optimizer *opt, const char *name, int rank, const int64_t *dim, lopt__init init,
                             float scale) {
    lopt__block *b = &opt->blocks[opt->n_blocks++];
    *b = (lopt__block){.init = init, .scale = scale};
    snprintf(b->public.name, sizeof b->public.name, "%s", name);
    b->public.rank = rank;
    b->public.offset = opt->n_theta;
    b->public.size = 1;
    for (int i = 0; i < rank; i++) {
        b->public.dim[i] = dim[i];
        b->public.size *= (size_t)dim[i];
    }
    opt->n_theta += b->public.size;
    return b;
}

size_t lopt_n_theta(const lopt_optimizer *opt) {
    return opt->n_theta;
}

size_t lopt_n_blocks(const lopt_optimizer *opt) {
    return opt->n_blocks;
}

const lopt_block *lopt_block_at(const lopt_optimizer *opt, size_t i) {
    return i < opt->n_blocks ? &opt->blocks[i].public : NULL;
}

const lopt_block *lopt_block_find(const lopt_optimizer *opt, const char *name) {
    for (size_t i = 0; i < opt->n_blocks; i++)
        if (strcmp(opt->blocks[i].public.name, name) == 0) return &opt->blocks[i].public;
    return NULL;
}

void lopt_init_theta(const lopt_optimizer *opt, uint64_t seed, float *theta) {
    for (size_t i = 0; i < opt->n_blocks; i++) {
        const lopt__block *b = &opt->blocks[i];
        float *out = theta + b->public.offset;
        if (b->init == LOPT__INIT_TRUNCATED_NORMAL) {
            lopt_rng_stream r;
            lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_THETA, i, 0, 0});
            lopt_rng_fill_truncated_normals(&r, b->scale, b->public.size, out);
        } else {
            for (size_t k = 0; k < b->public.size; k++) out[k] = b->init == LOPT__INIT_VALUES ? b->values[k] : 0;
        }
    }
}

void lopt_set_theta(lopt_optimizer *opt, const float *theta) {
    if (opt->n_theta) memcpy(opt->theta, theta, opt->n_theta * sizeof(float));
    if (opt->kind->prepare) opt->kind->prepare(opt);
}

const float *lopt_theta(const lopt_optimizer *opt) {
    return opt->theta;
}
