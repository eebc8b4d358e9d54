/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp.h - the small network that is applied to every parameter: y = x W + b, ReLU (or tanh) between layers.
 *
 * theta holds W (in, out) and b of layer l as blocks "w<l>" and "b<l>". For the kernels they are copied
 * into rows of `pitch` floats (out rounded up to LOPT__UNIT, zero-filled; the output layer is not padded),
 * so that a row of weights is a whole number of vectors. */
#ifndef LOPT_MLP_H
#define LOPT_MLP_H

#include "core/optimizer.h"

#define LOPT__MAX_HIDDEN_LAYERS 8
#define LOPT__MAX_HIDDEN 1024

typedef struct lopt__layer {
    int in, out, pitch;
    float *weight;   /* [in][pitch] */
    float *bias;     /* [pitch] */
    uint32_t *pairs; /* [(in + 1) / 2][pitch], between hidden layers: weights of inputs 2i and 2i + 1 as bf16 */
} lopt__layer;

typedef enum lopt__activation { LOPT__RELU, LOPT__TANH } lopt__activation;

typedef struct lopt__mlp {
    lopt__activation activation;
    int n_layers; /* hidden layers and the output layer */
    lopt__layer layer[LOPT__MAX_HIDDEN_LAYERS + 1];
} lopt__mlp;

/* Sets `pairs` from the weights; call it after writing weights. */
void lopt__mlp_pair_weights(lopt__mlp *mlp);
/* Adds blocks w0 b0 w1 b1 ... to theta; w ~ truncated normal of scale 1 / sqrt(in), b = 0. */
void lopt__mlp_layout(lopt_optimizer *opt, int in, int hidden, int hidden_layers, int out);
size_t lopt__mlp_floats(int in, int hidden, int hidden_layers, int out);
/* A network of zeros in memory[lopt__mlp_floats] (64-byte aligned). */
void lopt__mlp_place_zeros(lopt__mlp *mlp, int in, int hidden, int hidden_layers, int out, float *memory);
/* The same with theta's blocks copied into it: `count` of the `stored` outputs, from `first` on. */
void lopt__mlp_pack_theta(lopt__mlp *mlp, const lopt_optimizer *opt, int in, int hidden, int hidden_layers, int stored,
                          int first, int count, float *memory);
/* y[out] for one x[in]; work[2 * widest layer]. */
void lopt__mlp_forward(const lopt__mlp *mlp, const float *x, float *y, float *work);

#endif
