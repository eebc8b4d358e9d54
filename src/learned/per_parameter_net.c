/* SPDX-License-Identifier: Apache-2.0
 *
 * per_parameter_net.c - see per_parameter_net.h. */
#include "learned/per_parameter_net.h"

#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/normalise.h"

static const char *name_network_layer(const char *name, int l, char layer[48]) {
    snprintf(layer, 48, "%s_%d", name, l);
    return layer;
}

void lopt__network_layout(lopt_optimizer *opt, const char *name, int in, int hidden, int hidden_layers, int out) {
    char layer[48];
    for (int l = 0; l <= hidden_layers; l++)
        lopt__linear_layout(opt, name_network_layer(name, l, layer), l == 0 ? in : hidden,
                            l == hidden_layers ? out : hidden);
}

lopt__network lopt__network_from_theta(const lopt_optimizer *opt, const char *name, int hidden_layers) {
    char layer[48];
    lopt__network net = {.n_layers = hidden_layers + 1};
    for (int l = 0; l <= hidden_layers; l++)
        net.layer[l] = lopt__linear_from_theta(opt, name_network_layer(name, l, layer));
    return net;
}

lopt__network lopt__network_sharing(const lopt__network *net, int n_shared, const float *shared, float *bias) {
    lopt__network own = *net;
    lopt__linear *first = &own.layer[0];
    first->in -= n_shared;
    memcpy(bias, first->bias, (size_t)first->out * sizeof(float));
    lopt__kernels_current()->multiply(1, first->out, n_shared, shared, n_shared, first->weight + first->in * first->out,
                                      first->out, bias, first->out);
    first->bias = bias;
    return own;
}

static int widest_layer(const lopt__network *net) {
    int most = net->layer[0].in;
    for (int l = 0; l < net->n_layers; l++) most = net->layer[l].out > most ? net->layer[l].out : most;
    return most;
}

/* Two blocks of activations. */
static size_t scratch_of_thread(const lopt__network *net) {
    return 2 * LOPT__ROWS * (size_t)widest_layer(net);
}

/* The scale of each own feature, then activations for each thread. */
size_t lopt__network_scratch(const lopt__network *net, int n_threads) {
    return (size_t)lopt__round_up(net->layer[0].in) + (size_t)n_threads * scratch_of_thread(net);
}

/* One run of the network over a tensor. */
typedef struct passage {
    const lopt__network *net;
    const lopt__elements *elements;
    float *scale, *activations;
    double sum[LOPT__MAX_CHUNKS][LOPT__MAX_OWN_FEATURES]; /* of squares of each feature */
} passage;

static float *activations_of_thread(const passage *p, int thread) {
    return p->activations + (size_t)thread * scratch_of_thread(p->net);
}

static int64_t rows_of_block(int64_t end, int64_t at) {
    return end - at < LOPT__ROWS ? end - at : LOPT__ROWS;
}

/* Sums of squares of each feature: in float within a block, in double over blocks. */
static void add_feature_squares(int64_t n, int width, const float *restrict x, double *sum) {
    float block[LOPT__MAX_OWN_FEATURES] = {0};
    for (int64_t i = 0; i < n; i++, x += width)
        for (int j = 0; j < width; j++) block[j] += x[j] * x[j];
    for (int j = 0; j < width; j++) sum[j] += (double)block[j];
}

static void sum_feature_squares(void *passage_, int64_t chunk, int thread) {
    passage *p = (passage *)passage_;
    const lopt__elements *e = p->elements;
    lopt__range r = lopt__chunk_range(e->n, chunk);
    int width = p->net->layer[0].in;
    float *x = activations_of_thread(p, thread);
    double sum[LOPT__MAX_OWN_FEATURES] = {0};
    for (int64_t at = r.first; at < r.first + r.n; at += LOPT__ROWS) {
        int64_t n = rows_of_block(r.first + r.n, at);
        e->features(e->source, at, n, x);
        add_feature_squares(n, width, x, sum);
    }
    memcpy(p->sum[chunk], sum, sizeof sum);
}

/* scale[j] = 1 / sqrt(epsilon + mean square) of each feature. */
static void set_feature_scales(passage *p) {
    const lopt__elements *e = p->elements;
    int64_t n_chunks = lopt__n_chunks(e->n);
    lopt__team_run_chunks(e->team, n_chunks, sum_feature_squares, p);
    for (int j = 0; j < p->net->layer[0].in; j++) {
        double sum = 0;
        for (int64_t i = 0; i < n_chunks; i++) sum += p->sum[i][j];
        p->scale[j] = lopt__normalising_factor(LOPT__NORMALISE_EPSILON, (float)(sum / (double)e->n));
    }
}

static void rectify_units(int64_t n, float *x) {
    for (int64_t i = 0; i < n; i++) x[i] = x[i] < 0 ? 0 : x[i]; /* NaN stays NaN */
}

/* Evaluates n rows; returns the outputs, which are in x or in y. */
static const float *evaluate_network(const lopt__network *net, int64_t n, float *x, float *y) {
    for (int l = 0; l < net->n_layers; l++) {
        lopt__linear_forward(&net->layer[l], n, x, y);
        if (l + 1 < net->n_layers) rectify_units(n * net->layer[l].out, y);
        float *next = x;
        x = y;
        y = next;
    }
    return x;
}

static void run_network_chunk(void *passage_, int64_t chunk, int thread) {
    const passage *p = (const passage *)passage_;
    const lopt__elements *e = p->elements;
    lopt__range r = lopt__chunk_range(e->n, chunk);
    int width = p->net->layer[0].in;
    float *x = activations_of_thread(p, thread), *y = x + LOPT__ROWS * widest_layer(p->net);
    for (int64_t at = r.first; at < r.first + r.n; at += LOPT__ROWS) {
        int64_t n = rows_of_block(r.first + r.n, at);
        e->features(e->source, at, n, x);
        for (int64_t i = 0; i < n * width; i += width)
            for (int j = 0; j < width; j++) x[i + j] *= p->scale[j];
        e->outputs(e->source, chunk, at, n, evaluate_network(p->net, n, x, y));
    }
}

void lopt__network_run(const lopt__network *net, const lopt__elements *e, float *scratch) {
    passage p = {
        .net = net, .elements = e, .scale = scratch, .activations = scratch + lopt__round_up(net->layer[0].in)};
    set_feature_scales(&p);
    lopt__team_run_chunks(e->team, lopt__n_chunks(e->n), run_network_chunk, &p);
}
