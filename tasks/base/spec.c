/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.c - see spec.h. */
#include "base/spec.h"

task_spec task_spec_default(void) {
    return (task_spec){
        .task = "image_mlp",
        .dataset = "fashion_mnist",
        .batch_size = 64,
        .image_size = 8,
        .n_hidden = 1,
        .hidden = {32},
        .activation = TASK_RELU,
        .strided = 1,
        .resnet = {2, {1, 1, 1, 1}, {8, 16, 16, 16}, 64, 3, 2, 1},
        .dim = 10,
        .encoder = {.constrain = 1},
        .vae = {.encoder_layers = 1, .encoder_width = 32, .decoder_layers = 1, .decoder_width = 32, .latent = 8},
        .sequence = {.tokens = 259,
                     .length = 8,
                     .embed = 8,
                     .width = 8,
                     .layers = 1,
                     .heads = 2,
                     .head_size = 4,
                     .mlp = 16,
                     .token_mlp = 4,
                     .patch = 4},
        .reparam = TASK_REPARAM_NONE,
        .reparam_min = 0.01,
        .reparam_max = 100,
        .batch_fraction = 1,
        .es_std = 0.01,
    };
}
