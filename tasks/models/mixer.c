/* SPDX-License-Identifier: Apache-2.0
 *
 * mixer.c - classification of images by perceptrons across their patches and across channels in turn.
 *
 *     patches (convolution) -> (h + mlp across patches(norm h), h + mlp across channels(norm h)) per block -> norm ->
 *     mean over patches -> dense -> cross-entropy
 *
 * Starts: normal, cut at 2, of variance 1 / fan-in; biases and the last dense layer 0. gelu. Source: the MLPMixer
 * tasks of learned_optimization (Metz et al. 2022); Tolstikhin et al. 2021. */
#include <stdio.h>

#include "layers/activation.h"
#include "layers/conv.h"
#include "layers/dense.h"
#include "layers/norm.h"
#include "layers/pool.h"
#include "layers/sum.h"
#include "layers/tokens.h"
#include "models/blocks.h"
#include "models/images.h"

#define EPSILON 1e-6

static const task_init variance = {TASK_INIT_VARIANCE, 1, 0};

static int add_mixer_perceptron(task_model *m, int x, int width) {
    int out = (int)(x < 0 ? 0 : task_value_shape(m, x)->cols);
    return task_add_dense(m, task_add_activation(m, task_add_dense(m, x, width, variance), TASK_GELU), out, variance);
}

static int add_mixer_block(task_model *m, int h, const task_spec *spec) {
    int x =
        add_mixer_perceptron(m, task_add_swap_tokens(m, task_add_layer_norm(m, h, EPSILON)), spec->sequence.token_mlp);
    h = task_add_sum(m, 2, (int[]){h, task_add_swap_tokens(m, x)});
    x = add_mixer_perceptron(m, task_add_layer_norm(m, h, EPSILON), spec->sequence.mlp);
    return task_add_sum(m, 2, (int[]){h, x});
}

static int mixer_create(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = task_images_open(t, spec, err);
    if (!self) return 0;
    task_model *m = t->model;
    int patch = spec->sequence.patch, width = spec->sequence.width;
    task_conv_shape shape = {.channels = width, .size = patch, .stride = patch, .padding = TASK_SAME};
    int x = task_add_conv(m, self->images, shape, variance);
    task_shape s = {0};
    if (x >= 0) s = *task_value_shape(m, x);
    x = task_add_reshape(m, x, 3, (int64_t[]){s.dim[0], s.dim[1] * s.dim[2], s.dim[3]});
    for (int l = 0; l < spec->sequence.layers; l++) x = add_mixer_block(m, x, spec);
    x = task_add_reshape(m, task_add_layer_norm(m, x, EPSILON), 4, s.dim);
    x = task_add_dense(m, task_add_global_average(m, x), self->n_classes, (task_init){TASK_INIT_CONSTANT, 0, 0});
    size_t n = task_images_name(t, self, spec, "mlp_mixer");
    snprintf(t->name + n, sizeof t->name - n, " patch %d, %d blocks of %d, mlps %d and %d, batch %d", patch,
             spec->sequence.layers, width, spec->sequence.token_mlp, spec->sequence.mlp, self->batch);
    return task_images_classify(t, self, x, spec, TASK_RELATIVE_TO_CHANCE, err);
}

#define MIXER(set, size, batch, numbers, blocks, across, between)                                                      \
    .spec = {.task = "mlp_mixer",                                                                                      \
             .dataset = set,                                                                                           \
             .image_size = size,                                                                                       \
             .batch_size = batch,                                                                                      \
             .sequence = {.layers = blocks, .width = numbers, .token_mlp = across, .mlp = between, .patch = 16}}
#define SMALL(set, size) MIXER(set, size, 128, 768, 8, 384, 3072)
#define TINY(set, size, batch) MIXER(set, size, batch, 512, 5, 384, 2048)

static const task_name names[] = {
    {{"MLPMixer_ImageNet64_small16", "ImageNet 64x64, 8 blocks of 768"}, SMALL("imagenet64", 64)},
    {{"MLPMixer_ImageNet64_tiny16", "ImageNet 64x64, 5 blocks of 512"}, TINY("imagenet64", 64, 128)},
    {{"MLPMixer_ImageNet64_tiny16_bs256", "ImageNet 64x64, 5 blocks of 512, batch 256"}, TINY("imagenet64", 64, 256)},
    {{"MLPMixer_Food101_64_small16", "Food-101 64x64, 8 blocks of 768"}, SMALL("food101", 64)},
    {{"MLPMixer_Food101_64_tiny16", "Food-101 64x64, 5 blocks of 512"}, TINY("food101", 64, 128)},
    {{"MLPMixer_Food101_64_tiny16_bs256", "Food-101 64x64, 5 blocks of 512, batch 256"}, TINY("food101", 64, 256)},
    {{"MLPMixer_Cifar100_small16", "CIFAR-100, 8 blocks of 768"}, SMALL("cifar100", 32)},
    {{"MLPMixer_Cifar100_tiny16", "CIFAR-100, 5 blocks of 512"}, TINY("cifar100", 32, 128)},
    {{"MLPMixer_Cifar100_tiny16_bs256", "CIFAR-100, 5 blocks of 512, batch 256"}, TINY("cifar100", 32, 256)},
    {{NULL, NULL}, {.task = ""}},
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_IMAGE_SETTINGS,
    TASK_LOSS_SETTING,
    TASK_LAYERS_SETTING,
    TASK_WIDTH_SETTING,
    TASK_PATCH_SETTINGS,
    {"sequence.token_mlp", TASK_INTEGER(sequence.token_mlp), "[1, 65536]", "4", "units",
     "mixers: hidden width of the perceptron across patches"},
};

const task_kind task_kind_mlp_mixer = {
    TASK_IMAGES_FUNCTIONS,
    .name = "mlp_mixer",
    .summary = "classification of images by an MLP mixer: perceptrons across patches and across channels",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = mixer_create,
    .accuracy = task_images_accuracy,
    .names = names,
    .open_settings = "data_split|loss",
};
