/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp.c - layout, packing and reference evaluation of the per-parameter network. */
#include "kernels/mlp.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/bf16.h"

/* Sizes of layer l; weight and bias stay NULL. */
static lopt__layer shape_of_layer(int l, int in, int hidden, int hidden_layers, int out) {
    int last = l == hidden_layers;
    int width = last ? out : hidden;
    int pitch = last ? out : (int)lopt__round_up(hidden);
    return (lopt__layer){.in = l == 0 ? in : hidden, .out = width, .pitch = pitch};
}

void lopt__mlp_layout(lopt_optimizer *opt, int in, int hidden, int hidden_layers, int out) {
    for (int l = 0; l <= hidden_layers; l++) {
        lopt__layer s = shape_of_layer(l, in, hidden, hidden_layers, out);
        char name[16];
        snprintf(name, sizeof name, "w%d", l);
        lopt__add_matrix_block(opt, name, s.in, s.out, LOPT__INIT_TRUNCATED_NORMAL, 1.0f / sqrtf((float)s.in));
        snprintf(name, sizeof name, "b%d", l);
        lopt__add_vector_block(opt, name, s.out, LOPT__INIT_ZERO, 0);
    }
}

static size_t layer_weight_floats(const lopt__layer *s) {
    return (size_t)lopt__round_up((int64_t)s->in * s->pitch);
}

/* Size of `pairs`: 0 for the first layer, which kernels scale first, and for the last. */
static size_t layer_pair_floats(int l, int hidden_layers, const lopt__layer *s) {
    return l == 0 || l == hidden_layers ? 0 : (size_t)lopt__round_up((int64_t)((s->in + 1) / 2) * s->pitch);
}

size_t lopt__mlp_floats(int in, int hidden, int hidden_layers, int out) {
    size_t n = 0;
    for (int l = 0; l <= hidden_layers; l++) {
        lopt__layer s = shape_of_layer(l, in, hidden, hidden_layers, out);
        n += layer_weight_floats(&s) + (size_t)lopt__round_up(s.pitch) + layer_pair_floats(l, hidden_layers, &s);
    }
    return n;
}

static const float *find_block_values(const lopt_optimizer *opt, char letter, int l) {
    char name[16];
    snprintf(name, sizeof name, "%c%d", letter, l);
    return opt->theta + lopt_block_find(opt, name)->offset;
}

void lopt__mlp_place_zeros(lopt__mlp *mlp, int in, int hidden, int hidden_layers, int out, float *memory) {
    mlp->activation = LOPT__RELU;
    mlp->n_layers = hidden_layers + 1;
    memset(memory, 0, lopt__mlp_floats(in, hidden, hidden_layers, out) * sizeof(float));
    for (int l = 0; l < mlp->n_layers; l++) {
        lopt__layer s = shape_of_layer(l, in, hidden, hidden_layers, out);
        s.weight = memory;
        s.bias = memory + layer_weight_floats(&s);
        s.pairs = (uint32_t *)(void *)(s.bias + lopt__round_up(s.pitch));
        memory = s.bias + lopt__round_up(s.pitch) + layer_pair_floats(l, hidden_layers, &s);
        mlp->layer[l] = s;
    }
}

void lopt__mlp_pair_weights(lopt__mlp *mlp) {
    for (int l = 1; l < mlp->n_layers - 1; l++) {
        const lopt__layer *s = &mlp->layer[l];
        for (int i = 0; i < s->in; i += 2)
            for (int j = 0; j < s->pitch; j++) {
                const float *low = s->weight + i * s->pitch + j;
                s->pairs[i / 2 * s->pitch + j] = lopt__pack_bf16_pair(*low, i + 1 < s->in ? low[s->pitch] : 0);
            }
    }
}

void lopt__mlp_pack_theta(lopt__mlp *mlp, const lopt_optimizer *opt, int in, int hidden, int hidden_layers, int stored,
                          int first, int count, float *memory) {
    lopt__mlp_place_zeros(mlp, in, hidden, hidden_layers, count, memory);
    for (int l = 0; l < mlp->n_layers; l++) {
        const lopt__layer *s = &mlp->layer[l];
        int last = l == hidden_layers, columns = last ? stored : s->out, from = last ? first : 0;
        const float *w = find_block_values(opt, 'w', l) + from, *b = find_block_values(opt, 'b', l) + from;
        for (int i = 0; i < s->in; i++)
            memcpy(s->weight + i * s->pitch, w + i * columns, (size_t)s->out * sizeof(float));
        memcpy(s->bias, b, (size_t)s->out * sizeof(float));
    }
    lopt__mlp_pair_weights(mlp);
}

static float activate_unit(lopt__activation activation, float x) {
    if (activation == LOPT__TANH) return tanhf(x);
    return x < 0 ? 0 : x; /* NaN stays NaN */
}

static void evaluate_layer(const lopt__layer *s, const float *x, float *y) {
    for (int j = 0; j < s->out; j++) {
        float sum = s->bias[j];
        for (int i = 0; i < s->in; i++) sum += x[i] * s->weight[i * s->pitch + j];
        y[j] = sum;
    }
}

void lopt__mlp_forward(const lopt__mlp *mlp, const float *x, float *y, float *work) {
    int last = mlp->n_layers - 1;
    for (int l = 0; l <= last; l++) {
        const lopt__layer *s = &mlp->layer[l];
        float *to = l == last ? y : work + (l % 2) * s->pitch;
        evaluate_layer(s, x, to);
        for (int j = 0; j < s->out && l < last; j++) to[j] = activate_unit(mlp->activation, to[j]);
        x = to;
    }
}
