/* SPDX-License-Identifier: Apache-2.0
 *
 * vit.c - classification of images by attention between their patches.
 *
 *     add_image_patches (convolution) -> class token in front, + positions -> (h + attention(norm h), h + add_vit_perceptron(norm h)) per
 *     layer -> norm -> first token -> dense -> cross-entropy
 *
 * Starts: patches normal, cut at 2, of variance 1 / fan-in; class token 0; positions N(0, 0.02^2); attention and
 * perceptron (gelu) Xavier-uniform, the biases of the latter N(0, 1e-12); the last dense layer 0. Source: the VIT
 * tasks of learned_optimization (Metz et al. 2022), which are Flax's example. */
#include <stdio.h>

#include "base/draws.h"
#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/conv.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/norm.h"
#include "layers/sum.h"
#include "layers/tokens.h"
#include "models/blocks.h"
#include "models/hidden.h"
#include "models/images.h"

#define EPSILON 1e-6

static int add_vit_perceptron(task_model *m, int x, int width, double dropout) {
    const task_init xavier = {TASK_INIT_XAVIER, 0, 0}, tiny = {TASK_INIT_NORMAL, 1e-6, 0};
    int out = (int)(x < 0 ? 0 : task_value_shape(m, x)->cols);
    x = task_add_activation(m, task_add_dense_with(m, x, width, xavier, tiny), TASK_GELU);
    x = task_add_dense_with(m, task_add_dropout(m, x, dropout), out, xavier, tiny);
    return task_add_dropout(m, x, dropout);
}

static int add_vit_block(task_model *m, int h, const task_attention_shape *a, const task_spec *spec) {
    int x = task_add_dropout(m, task_add_attention(m, task_add_layer_norm(m, h, EPSILON), a), spec->dropout);
    h = task_add_sum(m, 2, (int[]){h, x});
    x = add_vit_perceptron(m, task_add_layer_norm(m, h, EPSILON), spec->sequence.mlp, spec->dropout);
    return task_add_sum(m, 2, (int[]){h, x});
}

/* [batch, patches, width] */
static int add_image_patches(task_model *m, int x, int size, int width) {
    task_conv_shape shape = {.channels = width, .size = size, .stride = size, .padding = TASK_VALID};
    x = task_add_conv(m, x, shape, (task_init){TASK_INIT_VARIANCE, 1, 0});
    if (x < 0) return -1;
    const task_shape *s = task_value_shape(m, x);
    return task_add_reshape(m, x, 3, (int64_t[]){s->dim[0], s->dim[1] * s->dim[2], s->dim[3]});
}

static int vit_create(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = task_images_open(t, spec, err);
    if (!self) return 0;
    int width = spec->sequence.heads * spec->sequence.head_size;
    task_model *m = t->model;
    task_attention_shape a = {.heads = spec->sequence.heads,
                              .head_size = spec->sequence.head_size,
                              .dropout = spec->sequence.attention_dropout,
                              .init = {TASK_INIT_XAVIER, 0, 0}};
    int x = task_add_class_token(m, add_image_patches(m, self->images, spec->sequence.patch, width));
    x = task_add_dropout(m, task_add_positions(m, x, (task_init){TASK_INIT_NORMAL, 0.02, 0}), spec->dropout);
    for (int l = 0; l < spec->sequence.layers; l++) x = add_vit_block(m, x, &a, spec);
    x = task_add_first_token(m, task_add_layer_norm(m, x, EPSILON));
    x = task_add_dense(m, x, self->n_classes, (task_init){TASK_INIT_CONSTANT, 0, 0});
    size_t n = task_images_name(t, self, spec, "vit");
    snprintf(t->name + n, sizeof t->name - n, " patch %d, %d layers of %d, %d heads, mlp %d, batch %d",
             spec->sequence.patch, spec->sequence.layers, width, spec->sequence.heads, spec->sequence.mlp, self->batch);
    return task_images_classify(t, self, x, spec, TASK_RELATIVE_TO_CHANCE, err);
}

#define VIT(set, size, n_layers, n_heads, numbers, between)                                                            \
    .spec = {.task = "vit",                                                                                            \
             .dataset = set,                                                                                           \
             .image_size = size,                                                                                       \
             .batch_size = 128,                                                                                        \
             .sequence = {.layers = n_layers, .heads = n_heads, .head_size = numbers, .mlp = between, .patch = 16}}
#define WIDE(set, size) VIT(set, size, 6, 6, 64, 1536)
#define DEEP(set, size) VIT(set, size, 10, 4, 32, 512)

static const task_name names[] = {
    {{"VIT_ImageNet64_wideshallow", "ImageNet 64x64, 6 layers of 384"}, WIDE("imagenet64", 64)},
    {{"VIT_ImageNet64_skinnydeep", "ImageNet 64x64, 10 layers of 128"}, DEEP("imagenet64", 64)},
    {{"VIT_Food101_64_wideshallow", "Food-101 64x64, 6 layers of 384"}, WIDE("food101", 64)},
    {{"VIT_Food101_64_skinnydeep", "Food-101 64x64, 10 layers of 128"}, DEEP("food101", 64)},
    {{"VIT_Cifar100_wideshallow", "CIFAR-100, 6 layers of 384"}, WIDE("cifar100", 32)},
    {{"VIT_Cifar100_skinnydeep", "CIFAR-100, 10 layers of 128"}, DEEP("cifar100", 32)},
    {{NULL, NULL}, {.task = ""}},
};

/* A patch no larger than the image: the largest of the published sizes that fits the one drawn. */
static void vit_sample(task_spec *spec, lopt_rng_stream *r) {
    static const int patch_sizes[] = {2, 4, 8, 12, 16};
    snprintf(spec->task, sizeof spec->task, "vit");
    spec->sequence.layers = task_draw_log_integer(r, 1, 16);
    spec->sequence.heads = task_draw_log_integer(r, 1, 16);
    spec->sequence.head_size = task_draw_log_integer(r, 8, spec->sequence.heads < 4 ? 64 : 32);
    spec->sequence.mlp = task_draw_log_integer(r, 32, 512);
    int patch = task_draw_choice(r, 5);
    spec->image_size = task_draw_log_integer(r, 8, 64);
    while (patch_sizes[patch] > spec->image_size) patch--;
    spec->sequence.patch = patch_sizes[patch];
    spec->batch_size = task_draw_log_integer(r, 4, 256);
    int drops = lopt_rng_draw_uniform(r) >= 0.3;
    double dropout = 0.8 * lopt_rng_draw_uniform(r), of_attention = 0.8 * lopt_rng_draw_uniform(r);
    spec->dropout = drops ? dropout : 0;
    spec->sequence.attention_dropout = drops ? of_attention : 0;
    spec->loss = TASK_LOSS_CROSS_ENTROPY;
}

static const task_family family = {
    .name = "vit_family",
    .summary = "transformers on images: layers, heads, width, patch, size, batch, dropout",
    .sample = vit_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_IMAGE_SETTINGS,
    TASK_LOSS_SETTING,
    TASK_ATTENTION_SETTINGS,
    TASK_PATCH_SETTINGS,
    TASK_DROPOUT_SETTING,
    {"sequence.attention_dropout", TASK_NUMBER(sequence.attention_dropout), "[0, 0.999]", "0", NULL,
     "vision transformers: fraction of the attention weights that is dropped at random"},
};

const task_kind task_kind_vit = {
    TASK_IMAGES_FUNCTIONS,
    .name = "vit",
    .summary = "classification of images by a vision transformer",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = vit_create,
    .accuracy = task_images_accuracy,
    .names = names,
    .open_settings = "data_split|loss",
    .family = &family,
};
