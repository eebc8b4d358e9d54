/* SPDX-License-Identifier: Apache-2.0
 *
 * conv_net.c - classification of images by a convolutional net.
 *
 *     image -> (conv 3x3, activation, [norm]) per layer -> global average -> dense -> cross-entropy
 *
 * The first `strided` convolutions have stride 2. Normalised as image_mlp.c says, but NaN stays NaN. Initial
 * weights: TN(1/sqrt(fan_in)), biases 0; in the family convolutions start as tau says, the dense layer as usual.
 * Source: the Conv tasks of learned_optimization (Metz et al. 2022). */
#include <stdio.h>
#include <string.h>

#include "base/draws.h"
#include "layers/conv.h"
#include "layers/dense.h"
#include "layers/norm.h"
#include "layers/pool.h"
#include "models/hidden.h"
#include "models/images.h"

static int add_conv_block(task_model *m, int x, int channels, int stride, const task_hidden *hidden) {
    x = task_add_conv(m, x, (task_conv_shape){channels, 3, stride, TASK_SAME}, hidden->init);
    x = task_hidden_activation(m, x, hidden);
    if (hidden->norm == TASK_NORM_LAYER) x = task_add_layer_norm(m, x, 1e-5);
    if (hidden->norm == TASK_NORM_BATCH) x = task_add_batch_norm(m, x, 1, 1e-5);
    return x;
}

/* "image_conv cifar10 32x32 3-32-64-64-10 relu, batch 128" */
static void set_conv_net_name(task *t, const task_images *self, const task_spec *spec) {
    size_t n = task_images_name(t, self, spec, "image_conv");
    task_hidden_name(t, n, self->data->n_channels, self->n_classes, spec);
}

static int conv_net_create(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = task_images_open(t, spec, err);
    if (!self) return 0;
    task_model *m = t->model;
    task_hidden hidden = task_hidden_plan(m, spec);
    int x = self->images;
    for (int l = 0; l < spec->n_hidden; l++)
        x = add_conv_block(m, x, spec->hidden[l], l < spec->strided ? 2 : 1, &hidden);
    x = task_add_dense(m, task_add_global_average(m, x), self->n_classes, (task_init){0});
    set_conv_net_name(t, self, spec);
    return task_images_classify(t, self, x, spec, spec->per_task ? TASK_LOG_BELOW_CHANCE : TASK_CLIP_TO_CHANCE_NAN,
                                err);
}

#define CONV(set, size, batch, layers, ...)                                                                            \
    .spec = {.task = "image_conv",                                                                                     \
             .dataset = set,                                                                                           \
             .image_size = size,                                                                                       \
             .batch_size = batch,                                                                                      \
             .strided = 1,                                                                                             \
             .n_hidden = layers,                                                                                       \
             .hidden = __VA_ARGS__}
#define NET_32_64_64                                                                                                   \
    { 32, 64, 64 }

static const task_name names[] = {
    {{"Conv_Cifar10_8_16x32", "CIFAR-10 8x8, channels 16 and 32, batch 128"}, CONV("cifar10", 8, 128, 2, {16, 32})},
    {{"Conv_Cifar10_16_32x64x64", "CIFAR-10 16x16, channels 32, 64 and 64, batch 128"},
     CONV("cifar10", 16, 128, 3, NET_32_64_64)},
    {{"Conv_Cifar10_32x64x64", "CIFAR-10, channels 32, 64 and 64, batch 128"},
     CONV("cifar10", 32, 128, 3, NET_32_64_64)},
    {{"Conv_Cifar10_32x64x64_Tanh", "CIFAR-10, channels 32, 64 and 64, tanh, batch 128"},
     CONV("cifar10", 32, 128, 3, NET_32_64_64, .activation = TASK_TANH)},
    {{"Conv_Cifar10_32x64x64_batchnorm", "CIFAR-10, channels 32, 64 and 64, batch norm, batch 128"},
     CONV("cifar10", 32, 128, 3, NET_32_64_64, .norm = TASK_NORM_BATCH)},
    {{"Conv_Cifar10_32x64x64_layernorm", "CIFAR-10, channels 32, 64 and 64, layer norm, batch 128"},
     CONV("cifar10", 32, 128, 3, NET_32_64_64, .norm = TASK_NORM_LAYER)},
    {{"Conv_Cifar100_32x64x64", "CIFAR-100, channels 32, 64 and 64, batch 128"},
     CONV("cifar100", 32, 128, 3, NET_32_64_64)},
    {{"Conv_Cifar100_32x64x64_BS32", "CIFAR-100, channels 32, 64 and 64, batch 32"},
     CONV("cifar100", 32, 32, 3, NET_32_64_64)},
    {{"Conv_Cifar100_32x64x64_Tanh", "CIFAR-100, channels 32, 64 and 64, tanh, batch 128"},
     CONV("cifar100", 32, 128, 3, NET_32_64_64, .activation = TASK_TANH)},
    {{"Conv_imagenet32_16_32x64x64", "ImageNet 32x32, channels 32, 64 and 64, batch 128"},
     CONV("imagenet32", 32, 128, 3, NET_32_64_64)},
    {{"Conv_imagenet16_16_64x128x128x128", "ImageNet 16x16, channels 64, 128, 128 and 128, batch 128"},
     CONV("imagenet16", 16, 128, 4, {64, 128, 128, 128})},
    {{NULL, NULL}, {.task = ""}},
};

static void conv_net_sample(task_spec *spec, lopt_rng_stream *r) {
    snprintf(spec->task, sizeof spec->task, "image_conv");
    int channels = task_draw_log_integer(r, 4, 64);
    spec->n_hidden = task_draw_choice(r, 4);
    for (int l = 0; l < spec->n_hidden; l++) spec->hidden[l] = channels;
    spec->strided = task_draw_choice(r, 3);
    task_draw_images(spec, r);
    spec->norm = TASK_NORM_NONE;
    spec->loss = TASK_LOSS_CROSS_ENTROPY;
    spec->per_task = 1;
}

static const task_family family = {
    .name = "image_conv_family",
    .summary = "convolutional nets: channels, depth, strides, size, batch; activation and initialisation "
               "with the task",
    .sample = conv_net_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_IMAGE_SETTINGS,
    TASK_HIDDEN_SETTINGS,
    TASK_LOSS_SETTING,
    {"strided", TASK_INTEGER(strided), "[0, 8]", "1", "layers",
     "image_conv: how many of the first layers have stride 2"},
};

const task_kind task_kind_image_conv = {
    TASK_IMAGES_FUNCTIONS,
    .name = "image_conv",
    .summary = "classification of images by 3x3 convolutions, any number of channels",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = conv_net_create,
    .accuracy = task_images_accuracy,
    .names = names,
    .open_settings = "data_split|loss",
    .family = &family,
};
