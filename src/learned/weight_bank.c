/* SPDX-License-Identifier: Apache-2.0
 *
 * weight_bank.c - see weight_bank.h. A packed network is w0 [30][hidden], b0, w1 [hidden][hidden], b1, ...,
 * without padding. */
#include "learned/weight_bank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/param_features.h"

#define N_GROUPS 14
#define N_STORED_OUTPUTS 3

/* The first feature of each group in param_features.h, and how many it has. */
static const struct {
    int feature, width;
} group[N_GROUPS] = {
    {LOPT__F_GRAD, 1},
    {LOPT__F_CLIPPED_GRAD, 1},
    {LOPT__F_PARAM, 1},
    {LOPT__F_MOMENTUM, LOPT__K},
    {LOPT__F_RMS, 1},
    {LOPT__F_NORMED_MOMENTUM, LOPT__K},
    {LOPT__F_RSQRT, 1},
    {LOPT__F_FACTORED_GRAD, LOPT__K},
    {LOPT__F_NORMED_GRAD, 1},
    {LOPT__F_ROW, LOPT__K},
    {LOPT__F_COL, LOPT__K},
    {LOPT__F_ROW_RSQRT, LOPT__K},
    {LOPT__F_COL_RSQRT, LOPT__K},
    {LOPT__F_FACTORED_MOMENTUM, LOPT__K},
};

static int inputs_of_layer(const lopt__bank_shape *s, int l) {
    return l == 0 ? LOPT__N_EXTENDED : s->hidden;
}

static int outputs_of_layer(const lopt__bank_shape *s, int l, int outputs) {
    return l == s->hidden_layers ? outputs : s->hidden;
}

/* ---- theta ----------------------------------------------------------------------------------- */

/* A block of in x out weights (in 0: a bias of `out`), with the leading axis of the bank. */
static void add_bank_block(lopt_optimizer *opt, const lopt__bank_shape *s, const char *name, int in, int out,
                           float scale) {
    int64_t dim[3];
    int rank = 0;
    if (s->n) dim[rank++] = s->n;
    if (in) dim[rank++] = in;
    dim[rank++] = out;
    lopt__add_block(opt, name, rank, dim, in ? LOPT__INIT_TRUNCATED_NORMAL : LOPT__INIT_ZERO, scale);
}

static const char *name_input_group(int i, char name[48]) {
    snprintf(name, 48, "ff_mod_stack/w0__%d", i);
    return name;
}

static const char *name_bank_layer(char letter, int l, char name[48]) {
    snprintf(name, 48, "ff_mod_stack/%c%d", letter, l);
    return name;
}

void lopt__bank_layout(lopt_optimizer *opt, const lopt__bank_shape *s) {
    char name[48];
    for (int l = 0; l <= s->hidden_layers; l++) {
        int in = inputs_of_layer(s, l), out = outputs_of_layer(s, l, N_STORED_OUTPUTS);
        float scale = 1.0f / sqrtf((float)in);
        for (int i = 0; l == 0 && i < N_GROUPS; i++)
            add_bank_block(opt, s, name_input_group(i, name), group[i].width, out, scale);
        if (l > 0) add_bank_block(opt, s, name_bank_layer('w', l, name), in, out, scale);
        add_bank_block(opt, s, name_bank_layer('b', l, name), 0, out, 0);
    }
}

/* ---- packing --------------------------------------------------------------------------------- */

size_t lopt__bank_floats(const lopt__bank_shape *s) {
    size_t n = 0;
    for (int l = 0; l <= s->hidden_layers; l++)
        n += (size_t)(inputs_of_layer(s, l) + 1) * (size_t)outputs_of_layer(s, l, s->outputs);
    return n;
}

/* Copies network k of a block, `rows` rows of `stored` weights: the first `used` of each row. */
static void copy_weight_rows(const lopt_optimizer *opt, const char *name, int k, int rows, int stored, int used,
                             float *to) {
    const float *from = opt->theta + lopt_block_find(opt, name)->offset + (size_t)k * rows * stored;
    for (int i = 0; i < rows; i++) memcpy(to + i * used, from + i * stored, (size_t)used * sizeof(float));
}

static void pack_bank_network(const lopt__bank_shape *s, const lopt_optimizer *opt, int k, float *to) {
    char name[48];
    for (int l = 0; l <= s->hidden_layers; l++) {
        int in = inputs_of_layer(s, l);
        int stored = outputs_of_layer(s, l, N_STORED_OUTPUTS), used = outputs_of_layer(s, l, s->outputs);
        for (int i = 0; l == 0 && i < N_GROUPS; i++)
            copy_weight_rows(opt, name_input_group(i, name), k, group[i].width, stored, used,
                             to + group[i].feature * used);
        if (l > 0) copy_weight_rows(opt, name_bank_layer('w', l, name), k, in, stored, used, to);
        to += in * used;
        copy_weight_rows(opt, name_bank_layer('b', l, name), k, 1, stored, used, to);
        to += used;
    }
}

void lopt__bank_pack(const lopt__bank_shape *s, const lopt_optimizer *opt, float *packed) {
    int n = s->n ? s->n : 1;
    for (int k = 0; k < n; k++) pack_bank_network(s, opt, k, packed + (size_t)k * lopt__bank_floats(s));
}

size_t lopt__bank_mlp_floats(const lopt__bank_shape *s) {
    return lopt__mlp_floats(LOPT__N_EXTENDED, s->hidden, s->hidden_layers, s->outputs);
}

void lopt__bank_network(const lopt__bank_shape *s, const float *packed, float scale, lopt__bank_use use, lopt__mlp *mlp,
                        float *memory) {
    lopt__mlp_place_zeros(mlp, LOPT__N_EXTENDED, s->hidden, s->hidden_layers, s->outputs, memory);
    for (int l = 0; l < mlp->n_layers; l++) {
        const lopt__layer *layer = &mlp->layer[l];
        for (int i = 0; i <= layer->in; i++, packed += layer->out) {
            float *to = i == layer->in ? layer->bias : layer->weight + i * layer->pitch;
            int absent = use == LOPT__NO_SIDES && l == 0 && i >= LOPT__F_ROW && i < LOPT__F_CLIPPED_GRAD;
            for (int j = 0; j < layer->out; j++) to[j] = absent ? 0 : scale * packed[j];
        }
    }
    lopt__mlp_pair_weights(mlp);
}
