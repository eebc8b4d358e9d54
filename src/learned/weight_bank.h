/* SPDX-License-Identifier: Apache-2.0
 *
 * weight_bank.h - the per-parameter network of VeLO, Celo and Celo2 in theta: 30 features -> hidden layers
 * -> 3.
 *
 * theta holds one network (Celo2), or a bank of n networks that a controller mixes (VeLO, Celo: a
 * leading axis of n), as blocks of "ff_mod_stack": the first layer in 14 blocks w0__0 ... w0__13,
 * one for each group of features in the order below, then b0, w1, b1, ... The third output is not
 * used.
 *
 *      0  g, clipped to +-1000         5  m_k rsqrt(rms + epsilon)      10  C
 *      1  g, clipped to +-0.1          6  rsqrt(rms + epsilon)          11  rsqrt(R + 1e-8)
 *      2  p                            7  g r_k c_k                     12  rsqrt(C + 1e-8)
 *      3  m_k                          8  g rsqrt(rms + epsilon)        13  m_k r_k c_k
 *      4  rms                          9  R
 *
 * These are the features of param_features.h in another order (groups 1 and 8 come last there). Packed
 * networks have the order of param_features.h and no unused outputs.
 *
 *     lopt__bank_layout(opt, &shape)          in kind->layout
 *     lopt__bank_pack(&shape, opt, packed)    in kind->prepare; packed[n][lopt__bank_floats]
 *     lopt__bank_network(&shape, packed[k], scale, use, &mlp, memory)     for the kernels */
#ifndef LOPT_WEIGHT_BANK_H
#define LOPT_WEIGHT_BANK_H

#include "kernels/mlp.h"

typedef struct lopt__bank_shape {
    int n; /* networks mixed by a controller; 0: one network, without the leading axis */
    int hidden, hidden_layers;
    int outputs; /* used ones of three: 2, or 1 if the magnitude has no effect */
} lopt__bank_shape;

typedef enum lopt__bank_use {
    LOPT__ALL_GROUPS,
    LOPT__NO_SIDES /* without groups 9 to 13: their weights are 0 */
} lopt__bank_use;

void lopt__bank_layout(lopt_optimizer *opt, const lopt__bank_shape *s);
size_t lopt__bank_floats(const lopt__bank_shape *s); /* of one packed network */
void lopt__bank_pack(const lopt__bank_shape *s, const lopt_optimizer *opt, float *packed);
size_t lopt__bank_mlp_floats(const lopt__bank_shape *s); /* memory of one network for the kernels */
/* mlp in memory[lopt__bank_mlp_floats], 64-byte aligned: scale times the packed weights. */
void lopt__bank_network(const lopt__bank_shape *s, const float *packed, float scale, lopt__bank_use use, lopt__mlp *mlp,
                        float *memory);

#endif
