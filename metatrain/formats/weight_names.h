/* SPDX-License-Identifier: Apache-2.0
 *
 * weight_names.h - where each block of theta lies in the files of others: names, transposes, joined
 * arrays.
 *
 *     mt_place place;
 *     if (mt_places_pylo.find(opt, block, &place)) ...       array place.name of shape place.dim
 *     mt_place_get(&place, block, array, theta);          theta's block from the array
 *     mt_place_put(&place, block, theta, array);          and back
 *
 * Blocks here are (in, out) and their names are the keys of the JAX tree joined with '/'. Which '/'
 * joins keys and which is part of one (Haiku's "rnn/linear") is decided by mt_flax_path alone:
 *
 *     block                               keys of the JAX tree
 *     w0, b0 of small_fc, adafac_nominal  nn, ~, w0
 *     ff_mod_stack/w0__3                  ff_mod_stack, ~, w0__3
 *     rnn_params/rnn/linear/w             rnn_params, rnn/linear, w      field, Haiku module, leaf
 *     mlp/~/linear_0/w of mlp_lopt        mlp/~/linear_0, w              no field
 *     lstm_init_state/cell, log_lr        lstm_init_state, cell; log_lr  no module
 *
 * PyLO has three networks (the blocks of Celo and others have no place there):
 *
 *     small_fc  MetaMLP          network.{input,linear_<i>,output}.{weight,bias}, weights (out, in)
 *     velo      VeLORNN          lstm_init_state.{0,1}, {mix_layer1,mix_layer2,final_mix_layer,
 *                                lstm.linear,rnn_to_controls,step_size}.{weight,bias}, (out, in)
 *               VeLOMLP          input_weights_: every w0__<i> side by side; hidden_weights_.<i>,
 *                                output_weights_ (bank, out, in); input_bias_, ...
 *     celo2     CELO2MLP         w0.<i>, b0, dense_w.<i>, dense_b.<i>, as here (in, out) */
#ifndef MT_PLACES_H
#define MT_PLACES_H

#include "lopt.h"

enum { MT_PLACE_NAME = 256, MT_FLAX_KEYS = 3, MT_FLAX_KEY = 48 };

typedef struct mt_place {
    char name[MT_PLACE_NAME];
    int transposed; /* the array's last two axes are (out, in) */
    int32_t rank;
    int64_t dim[LOPT_MAX_RANK]; /* of the array */
    int64_t first;              /* which of the array's inputs is the block's first */
} mt_place;

/* A format's names. */
typedef struct mt_places {
    const char *format;
    /* 1, or 0 if such files do not hold the block. */
    int (*find)(const lopt_optimizer *opt, const lopt_block *block, mt_place *place);
    int (*ignores)(const char *name); /* arrays that are no part of theta; or NULL */
} mt_places;

extern const mt_places mt_places_flax, mt_places_pylo, mt_places_safetensors;

void mt_place_get(const mt_place *place, const lopt_block *block, const float *array, float *theta);
void mt_place_put(const mt_place *place, const lopt_block *block, const float *theta, float *array);
int64_t mt_place_size(const mt_place *place); /* numbers in the array */

/* Keys from the root of the JAX tree to the leaf. */
typedef struct mt_flax_path {
    int n;
    char key[MT_FLAX_KEYS][MT_FLAX_KEY];
} mt_flax_path;

mt_flax_path mt_flax_path_of(const lopt_optimizer *opt, const lopt_block *block);

/* Appends "['key']" to a name; bytes that are not plain text as \xNN. 0 if it does not fit. */
int mt_flax_name_add(char *name, size_t bytes, const char *key, size_t key_bytes);

/* Whether an array belongs to VeLO's VeLOMLP rather than VeLORNN. */
int mt_pylo_in_velo_mlp(const char *name);

#endif
