/* SPDX-License-Identifier: Apache-2.0
 *
 * vit.c - classification of images by attention between their patches.
 *
 *     patches (convolution) -> class token in front, + positions -> (h + attention(norm h), h + mlp(norm h)) per
 *     layer -> norm -> first token -> dense -> cross-entropy
 *
 * Starts: patches normal, cut at 2, of variance 1 / fan-in; class token 0; positions N(0, 0.02^2); attention and
 * perceptron (gelu) Xavier-uniform, the biases of the latter N(0, 1e-12); the last dense layer 0. Source: the VIT
 * tasks of learned_optimization (Metz et al. 2022), which are Flax's example. */
#include <stdio.h>

#include "families/draws.h"
#include "layers/activation.h"
#include "layers/attention.h"
#include "layers/conv.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/norm.h"
#include "layers/sum.h"
#include "layers/tokens.h"
#include "models/images.h"

#define MAX_WIDTH 65536
#define EPSILON 1e-6

static int check(const task_spec *spec, lopt_error *err) {
    const char *name = spec->task;
    return task_check_range(name, "sequence.layers", spec->sequence.layers, 1, 1000, err) &&
           task_check_range(name, "sequence.heads", spec->sequence.heads, 1, 1024, err) &&
           task_check_range(name, "sequence.head_size", spec->sequence.head_size, 1, 4096, err) &&
           task_check_range(name, "sequence.mlp", spec->sequence.mlp, 1, MAX_WIDTH, err) &&
           task_check_range(name, "sequence.patch", spec->sequence.patch, 1, 1024, err) &&
           task_check_range(name, "dropout", spec->dropout, 0, 0.99, err) &&
           task_check_range(name, "sequence.attention_dropout", spec->sequence.attention_dropout, 0, 0.99, err);
}

static int mlp(task_model *m, int x, int width, double dropout) {
    const task_init xavier = {TASK_INIT_XAVIER, 0, 0}, tiny = {TASK_INIT_NORMAL, 1e-6, 0};
    int out = (int)(x < 0 ? 0 : task_value_shape(m, x)->cols);
    x = task_activation(m, task_dense_with(m, x, width, xavier, tiny), TASK_GELU);
    x = task_dense_with(m, task_dropout(m, x, dropout), out, xavier, tiny);
    return task_dropout(m, x, dropout);
}

static int block(task_model *m, int h, const task_attention_shape *a, const task_spec *spec) {
    int x = task_dropout(m, task_attention(m, task_layer_norm(m, h, EPSILON), a), spec->dropout);
    h = task_sum(m, 2, (int[]){h, x});
    x = mlp(m, task_layer_norm(m, h, EPSILON), spec->sequence.mlp, spec->dropout);
    return task_sum(m, 2, (int[]){h, x});
}

/* [batch, patches, width] */
static int patches(task_model *m, int x, int size, int width) {
    task_conv_shape shape = {.channels = width, .size = size, .stride = size, .padding = TASK_VALID};
    x = task_conv(m, x, shape, (task_init){TASK_INIT_VARIANCE, 1, 0});
    if (x < 0) return -1;
    const task_shape *s = task_value_shape(m, x);
    return task_reshape(m, x, 3, (int64_t[]){s->dim[0], s->dim[1] * s->dim[2], s->dim[3]});
}

static int create(task *t, const task_spec *spec, lopt_error *err) {
    if (!check(spec, err)) return 0;
    task_images *self = task_images_open(t, spec, sizeof *self, err);
    if (!self) return 0;
    int width = spec->sequence.heads * spec->sequence.head_size;
    task_model *m = t->model;
    task_attention_shape a = {.heads = spec->sequence.heads,
                              .head_size = spec->sequence.head_size,
                              .dropout = spec->sequence.attention_dropout,
                              .init = {TASK_INIT_XAVIER, 0, 0}};
    int x = task_class_token(m, patches(m, self->images, spec->sequence.patch, width));
    x = task_dropout(m, task_positions(m, x, (task_init){TASK_INIT_NORMAL, 0.02, 0}), spec->dropout);
    for (int l = 0; l < spec->sequence.layers; l++) x = block(m, x, &a, spec);
    x = task_first_token(m, task_layer_norm(m, x, EPSILON));
    x = task_dense(m, x, self->n_classes, (task_init){TASK_INIT_CONSTANT, 0, 0});
    size_t n = task_images_name(t, self, spec, "vit");
    snprintf(t->name + n, sizeof t->name - n, " patch %d, %d layers of %d, %d heads, mlp %d, batch %d",
             spec->sequence.patch, spec->sequence.layers, width, spec->sequence.heads, spec->sequence.mlp, self->batch);
    return task_images_classify(t, self, x, spec, TASK_OF_GUESS, err);
}

static void fix(const task_spec *named, task_spec *spec) {
    task_images_fix(named, spec);
    spec->sequence = named->sequence;
    spec->dropout = 0;
}

const task_kind task_kind_vit = {
    TASK_IMAGES_FUNCTIONS,
    .name = "vit",
    .summary = "classification of images by attention between patches",
    .source = "learned_optimization, Metz et al. 2022",
    .fix = fix,
    .create = create,
    .accuracy = task_images_accuracy,
};

#define VIT(set, size, n_layers, n_heads, numbers, between)                                                            \
    .spec = {.task = "vit",                                                                                            \
             .dataset = set,                                                                                           \
             .image_size = size,                                                                                       \
             .batch_size = 128,                                                                                        \
             .sequence = {.layers = n_layers, .heads = n_heads, .head_size = numbers, .mlp = between, .patch = 16}}
#define WIDE(set, size) VIT(set, size, 6, 6, 64, 1536)
#define DEEP(set, size) VIT(set, size, 10, 4, 32, 512)

const task_name task_names_vit[] = {
    {{"VIT_ImageNet64_wideshallow", "ImageNet 64x64, 6 layers of 384"}, WIDE("imagenet64", 64)},
    {{"VIT_ImageNet64_skinnydeep", "ImageNet 64x64, 10 layers of 128"}, DEEP("imagenet64", 64)},
    {{"VIT_Food101_64_wideshallow", "Food-101 64x64, 6 layers of 384"}, WIDE("food101", 64)},
    {{"VIT_Food101_64_skinnydeep", "Food-101 64x64, 10 layers of 128"}, DEEP("food101", 64)},
    {{"VIT_Cifar100_wideshallow", "CIFAR-100, 6 layers of 384"}, WIDE("cifar100", 32)},
    {{"VIT_Cifar100_skinnydeep", "CIFAR-100, 10 layers of 128"}, DEEP("cifar100", 32)},
    {{NULL, NULL}, {.task = ""}},
};

/* A patch no larger than the image: the largest of the published sizes that fits the one drawn. */
static void sample(task_spec *spec, lopt_rng_stream *r) {
    static const int patch_sizes[] = {2, 4, 8, 12, 16};
    snprintf(spec->task, sizeof spec->task, "vit");
    spec->sequence.layers = task_draw_log_int(r, 1, 16);
    spec->sequence.heads = task_draw_log_int(r, 1, 16);
    spec->sequence.head_size = task_draw_log_int(r, 8, spec->sequence.heads < 4 ? 64 : 32);
    spec->sequence.mlp = task_draw_log_int(r, 32, 512);
    int patch = task_draw_choice(r, 5);
    spec->image_size = task_draw_log_int(r, 8, 64);
    while (patch_sizes[patch] > spec->image_size) patch--;
    spec->sequence.patch = patch_sizes[patch];
    spec->batch_size = task_draw_log_int(r, 4, 256);
    int drops = lopt_rng_draw_uniform(r) >= 0.3;
    double dropout = 0.8 * lopt_rng_draw_uniform(r), of_attention = 0.8 * lopt_rng_draw_uniform(r);
    spec->dropout = drops ? dropout : 0;
    spec->sequence.attention_dropout = drops ? of_attention : 0;
    spec->loss = TASK_LOSS_CROSS_ENTROPY;
}

const task_family task_family_vit = {
    .name = "vit_family",
    .summary = "transformers on images: layers, heads, width, patch, size, batch, dropout",
    .sample = sample,
};
