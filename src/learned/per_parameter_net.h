/* SPDX-License-Identifier: Apache-2.0
 *
 * per_parameter_net.h - a network applied to every element of a tensor, for kinds with features of
 * their own (kernels/ has the fast path for the features of param_features.h).
 *
 *     own features of an element, each normalised over the tensor (normalise.h)
 *     shared features, the same for all elements (time, ...), as they are
 *         -> dense layers, ReLU between -> outputs
 *
 *     lopt__network_layout(opt, "mlp/~/linear", 19, 32, 2, 2)   in kind->layout
 *     net = lopt__network_from_theta(opt, "mlp/~/linear", 2)    in kind->prepare
 *     copy = lopt__network_sharing(&net, 11, time, bias)        in kind->step
 *     lopt__network_run(&copy, &elements, scratch)
 *
 * Inputs are the own features, then the shared ones, which are folded into the first layer's bias. Two
 * functions of the kind compute features and consume outputs, block by block; threads call them
 * concurrently for different chunks of the tensor (chunks.h). */
#ifndef LOPT_PER_PARAMETER_NET_H
#define LOPT_PER_PARAMETER_NET_H

#include "core/chunks.h"
#include "kernels/mlp.h"
#include "learned/linear.h"

#define LOPT__ROWS 128 /* maximum elements of a block */
#define LOPT__MAX_OWN_FEATURES 32

typedef struct lopt__network {
    int n_layers; /* hidden layers and the output layer */
    lopt__linear layer[LOPT__MAX_HIDDEN_LAYERS + 1];
} lopt__network;

/* A tensor for the network. Both functions get elements at .. at + n - 1, n <= LOPT__ROWS. `features` is called twice
 * for every block, before `outputs` of that block. Blocks of a chunk come in order. */
typedef struct lopt__elements {
    int64_t n;
    void *source;                                                                        /* kind-specific */
    void (*features)(const void *source, int64_t at, int64_t n, float *x);               /* x[n][own features] */
    void (*outputs)(void *source, int64_t chunk, int64_t at, int64_t n, const float *y); /* y[n][outputs] */
    lopt__team *team;                                                                    /* or NULL */
} lopt__elements;

/* Adds layers "<name>_0", "<name>_1", ... to theta (linear.h). */
void lopt__network_layout(lopt_optimizer *opt, const char *name, int in, int hidden, int hidden_layers, int out);
lopt__network lopt__network_from_theta(const lopt_optimizer *opt, const char *name, int hidden_layers);
/* The network with its last n_shared inputs fixed to `shared`; bias receives the bias of its first layer. */
lopt__network lopt__network_sharing(const lopt__network *net, int n_shared, const float *shared, float *bias);
size_t lopt__network_scratch(const lopt__network *net, int n_threads);
void lopt__network_run(const lopt__network *net, const lopt__elements *elements, float *scratch);

#endif
