/* SPDX-License-Identifier: Apache-2.0
 *
 * element_network.c - see element_network.h. */
#include "element_network.h"

#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#include "normalise.h"

static const char *layer_name(const char *name, int l, char layer[48])
{
    snprintf(layer, 48, "%s_%d", name, l);
    return layer;
}

void lopt__network_layout(lopt_optimizer *opt, const char *name, int in, int hidden,
                          int hidden_layers, int out)
{
    char layer[48];
    for (int l = 0; l <= hidden_layers; l++)
        lopt__dense_layout(opt, layer_name(name, l, layer), l == 0 ? in : hidden,
                           l == hidden_layers ? out : hidden);
}

lopt__network lopt__network_at(const lopt_optimizer *opt, const char *name, int hidden_layers)
{
    char layer[48];
    lopt__network net = {.n_layers = hidden_layers + 1};
    for (int l = 0; l <= hidden_layers; l++)
        net.layer[l] = lopt__dense_at(opt, layer_name(name, l, layer));
    return net;
}

lopt__network lopt__network_sharing(const lopt__network *net, int n_shared, const float *shared,
                                    float *bias)
{
    lopt__network own = *net;
    lopt__dense *first = &own.layer[0];
    first->in -= n_shared;
    memcpy(bias, first->bias, (size_t)first->out * sizeof(float));
    lopt__kernels_current()->multiply(1, first->out, n_shared, shared, n_shared,
                                      first->weight + first->in * first->out, first->out, bias,
                                      first->out);
    first->bias = bias;
    return own;
}

static int widest(const lopt__network *net)
{
    int most = net->layer[0].in;
    for (int l = 0; l < net->n_layers; l++)
        most = net->layer[l].out > most ? net->layer[l].out : most;
    return most;
}

/* The scale of each own feature, then two blocks of activations. */
size_t lopt__network_scratch(const lopt__network *net)
{
    return (size_t)lopt__round_up(net->layer[0].in) + 2 * LOPT__ROWS * (size_t)widest(net);
}

static int64_t block_rows(const lopt__elements *e, int64_t at)
{
    return e->n - at < LOPT__ROWS ? e->n - at : LOPT__ROWS;
}

/* Sums of squares of each feature: in float over a block, in double over blocks. */
static void add_squares(int64_t n, int width, const float *restrict x, double *sum)
{
    float block[LOPT__MAX_OWN_FEATURES] = {0};
    for (int64_t i = 0; i < n; i++, x += width)
        for (int j = 0; j < width; j++)
            block[j] += x[j] * x[j];
    for (int j = 0; j < width; j++)
        sum[j] += (double)block[j];
}

/* scale[width] = 1 / sqrt(epsilon + mean square) of each feature. x: room for a block. */
static void normalisers(const lopt__elements *e, int width, float *x, float *scale)
{
    double sum[LOPT__MAX_OWN_FEATURES] = {0};
    for (int64_t at = 0; at < e->n; at += LOPT__ROWS) {
        int64_t n = block_rows(e, at);
        e->features(e->source, at, n, x);
        add_squares(n, width, x, sum);
    }
    for (int j = 0; j < width; j++)
        scale[j] = lopt__normaliser(LOPT__NORMALISE_EPSILON, (float)(sum[j] / (double)e->n));
}

static void relu(int64_t n, float *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] < 0 ? 0 : x[i]; /* NaN stays NaN */
}

/* Outputs of n rows; they lie in x or in y. */
static const float *forward(const lopt__network *net, int64_t n, float *x, float *y)
{
    for (int l = 0; l < net->n_layers; l++) {
        lopt__dense_forward(&net->layer[l], n, x, y);
        if (l + 1 < net->n_layers)
            relu(n * net->layer[l].out, y);
        float *next = x;
        x = y;
        y = next;
    }
    return x;
}

void lopt__network_run(const lopt__network *net, const lopt__elements *e, float *scratch)
{
    int width = net->layer[0].in;
    float *scale = scratch, *x = scale + lopt__round_up(width), *y = x + LOPT__ROWS * widest(net);
    normalisers(e, width, x, scale);
    for (int64_t at = 0; at < e->n; at += LOPT__ROWS) {
        int64_t n = block_rows(e, at);
        e->features(e->source, at, n, x);
        for (int64_t i = 0; i < n * width; i += width)
            for (int j = 0; j < width; j++)
                x[i + j] *= scale[j];
        e->outputs(e->source, at, n, forward(net, n, x, y));
    }
}
