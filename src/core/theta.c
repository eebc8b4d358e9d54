/* SPDX-License-Identifier: Apache-2.0
 *
 * theta.c - blocks of theta; reading and replacing theta. */
#include <stdio.h>
#include <string.h>

#include "core/optimizer.h"

lopt__block *lopt__add_block(lopt_optimizer *opt, const char *name, int rank, const int64_t *dim, lopt__init init,
                             float scale) {
    lopt__block *b = &opt->blocks[opt->n_blocks++];
    *b = (lopt__block){.init = init, .scale = scale};
    snprintf(b->info.name, sizeof b->info.name, "%s", name);
    b->info.rank = rank;
    b->info.offset = opt->n_theta;
    b->info.size = 1;
    for (int i = 0; i < rank; i++) {
        b->info.dim[i] = dim[i];
        b->info.size *= (size_t)dim[i];
    }
    opt->n_theta += b->info.size;
    return b;
}

lopt__block *lopt__add_vector_block(lopt_optimizer *opt, const char *name, int64_t n, lopt__init init, float scale) {
    return lopt__add_block(opt, name, 1, &n, init, scale);
}

lopt__block *lopt__add_matrix_block(lopt_optimizer *opt, const char *name, int64_t rows, int64_t columns,
                                    lopt__init init, float scale) {
    const int64_t dim[] = {rows, columns};
    return lopt__add_block(opt, name, 2, dim, init, scale);
}

size_t lopt_n_theta(const lopt_optimizer *opt) {
    return opt->n_theta;
}

size_t lopt_n_blocks(const lopt_optimizer *opt) {
    return opt->n_blocks;
}

const lopt_block *lopt_block_at(const lopt_optimizer *opt, size_t i) {
    return i < opt->n_blocks ? &opt->blocks[i].info : NULL;
}

const lopt_block *lopt_block_find(const lopt_optimizer *opt, const char *name) {
    for (size_t i = 0; i < opt->n_blocks; i++)
        if (strcmp(opt->blocks[i].info.name, name) == 0) return &opt->blocks[i].info;
    return NULL;
}

void lopt_set_theta(lopt_optimizer *opt, const float *theta) {
    if (opt->n_theta) memcpy(opt->theta, theta, opt->n_theta * sizeof(float));
    if (opt->kind->prepare) opt->kind->prepare(opt);
}

const float *lopt_theta(const lopt_optimizer *opt) {
    return opt->theta;
}
