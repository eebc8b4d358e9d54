/* SPDX-License-Identifier: Apache-2.0
 *
 * resnet.c - classification of images by a residual net of bottleneck blocks, version 1 or 2.
 *
 *     image -> stem: conv [, norm, activation] [, max pool 3x3 / 2] -> 4 groups of blocks [-> norm, relu]
 *           -> global average -> dense -> cross-entropy                    (norm: batch norm)
 *
 *     block 1   relu(x + norm(1x1 relu(norm(3x3 relu(norm(1x1 x))))))           the last norm's scale starts at 0
 *     block 2   x + 1x1 relu(norm(3x3 relu(norm(1x1 relu(norm(x))))))
 *
 * The 1x1 and 3x3 have a quarter of the group's channels, the last 1x1 all; no convolution has a bias. The first
 * block of a group replaces x in the sum by a 1x1 convolution: of x, with a norm (1), or of relu(norm(x)) (2).
 * From the second group on its stride is 2, as is that of its 3x3. Version 1 has the stem in brackets, version 2
 * the end. The dense layer starts at 0: so the first loss is that of chance. Losses are not
 * normalised; those of the family are relative to chance. Source: Haiku's ResNet; sizes of learned_optimization (Metz et al. 2022). */
#include <stdio.h>
#include <string.h>

#include "base/draws.h"
#include "layers/activation.h"
#include "layers/conv.h"
#include "layers/dense.h"
#include "layers/norm.h"
#include "layers/pool.h"
#include "layers/sum.h"
#include "models/hidden.h"
#include "models/images.h"

#define GROUPS 4
#define EPSILON 1e-5

static int add_conv_no_bias(task_model *m, int x, int channels, int size, int stride) {
    return task_add_conv_without_bias(m, x, (task_conv_shape){channels, size, stride, TASK_SAME}, (task_init){0});
}

static int add_norm_and_relu(task_model *m, int x) {
    return task_add_activation(m, task_add_batch_norm(m, x, 1, EPSILON), TASK_RELU);
}

static int add_resnet_block_1(task_model *m, int x, int channels, int stride, int first) {
    int skip = first ? task_add_batch_norm(m, add_conv_no_bias(m, x, channels, 1, stride), 1, EPSILON) : x;
    int y = add_norm_and_relu(m, add_conv_no_bias(m, x, channels / 4, 1, 1));
    y = add_norm_and_relu(m, add_conv_no_bias(m, y, channels / 4, 3, stride));
    y = task_add_batch_norm(m, add_conv_no_bias(m, y, channels, 1, 1), 0, EPSILON);
    return task_add_activation(m, task_add_sum(m, 2, (int[]){y, skip}), TASK_RELU);
}

static int add_resnet_block_2(task_model *m, int x, int channels, int stride, int first) {
    int y = add_norm_and_relu(m, x), skip = first ? add_conv_no_bias(m, y, channels, 1, stride) : x;
    y = add_norm_and_relu(m, add_conv_no_bias(m, y, channels / 4, 1, 1));
    y = add_norm_and_relu(m, add_conv_no_bias(m, y, channels / 4, 3, stride));
    return task_add_sum(m, 2, (int[]){add_conv_no_bias(m, y, channels, 1, 1), skip});
}

static int add_resnet_stem(task_model *m, int x, const task_spec *spec) {
    x = add_conv_no_bias(m, x, spec->resnet.stem_channels, spec->resnet.stem_size, spec->resnet.stem_stride);
    if (spec->resnet.version == 1) {
        x = task_add_batch_norm(m, x, 1, EPSILON);
        if (spec->per_task)
            x = task_add_sampled_activation(m, x, task_sample_choice(m, TASK_N_SAMPLED_ACTIVATIONS));
        else
            x = task_add_activation(m, x, spec->activation);
    }
    return spec->resnet.pool ? task_add_max_pool(m, x, 3, 2, TASK_SAME) : x;
}

static int add_resnet_groups(task_model *m, int x, const task_spec *spec) {
    for (int g = 0; g < GROUPS; g++) {
        for (int b = 0; b < spec->resnet.blocks[g]; b++) {
            int stride = g > 0 && b == 0 ? 2 : 1;
            x = (spec->resnet.version == 1 ? add_resnet_block_1 : add_resnet_block_2)(m, x, spec->resnet.channels[g],
                                                                                      stride, b == 0);
        }
    }
    return spec->resnet.version == 1 ? x : add_norm_and_relu(m, x);
}

/* "image_resnet imagenet16 16x16 v2 blocks 1-1-1-1 channels 8-16-16-16, batch 64" */
static void set_resnet_name(task *t, const task_images *self, const task_spec *spec) {
    size_t n = task_images_name(t, self, spec, "image_resnet");
    const int *b = spec->resnet.blocks, *c = spec->resnet.channels;
    snprintf(t->name + n, sizeof t->name - n, " v%d blocks %d-%d-%d-%d channels %d-%d-%d-%d, batch %d",
             spec->resnet.version, b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], self->batch);
}

static int resnet_create(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = task_images_open(t, spec, err);
    if (!self) return 0;
    task_model *m = t->model;
    int x = add_resnet_groups(m, add_resnet_stem(m, self->images, spec), spec);
    x = task_add_dense(m, task_add_global_average(m, x), self->n_classes, (task_init){TASK_INIT_CONSTANT, 0, 0});
    set_resnet_name(t, self, spec);
    return task_images_classify(t, self, x, spec, spec->per_task ? TASK_RELATIVE_TO_CHANCE : TASK_IDENTITY, err);
}

/* Number, image size, batch, channels, size of the stem, pool, blocks. */
#define RESNET(k, pixels, batch, stem, has_pool, widths, ...)                                                          \
    {                                                                                                                  \
        {"Resnet_MultiRuntime_" #k, "ImageNet " #pixels "x" #pixels ", batch " #batch ", channels " widths}, {         \
            .task = "image_resnet", .dataset = "imagenet" #pixels, .image_size = pixels, .batch_size = batch,          \
            .resnet = {                                                                                                \
                2,                                                                                                     \
                __VA_ARGS__,                                                                                           \
                64,                                                                                                    \
                stem,                                                                                                  \
                2,                                                                                                     \
                has_pool                                                                                               \
            }                                                                                                          \
        }                                                                                                              \
    }
#define ONE_EACH                                                                                                       \
    { 1, 1, 1, 1 }

static const task_name names[] = {
    RESNET(0, 16, 64, 3, 1, "8 to 16", ONE_EACH, {8, 16, 16, 16}),
    RESNET(1, 16, 64, 3, 1, "8 to 32", ONE_EACH, {8, 16, 16, 32}),
    RESNET(2, 16, 64, 3, 1, "64 to 128", ONE_EACH, {64, 128, 128, 128}),
    RESNET(3, 16, 192, 5, 1, "64 to 512", ONE_EACH, {64, 128, 256, 512}),
    RESNET(4, 16, 192, 5, 1, "128 to 512", ONE_EACH, {128, 256, 512, 512}),
    RESNET(5, 32, 128, 5, 1, "128 to 512", ONE_EACH, {128, 256, 512, 512}),
    RESNET(6, 32, 256, 3, 1, "128 to 512", ONE_EACH, {128, 256, 512, 512}),
    RESNET(7, 32, 256, 5, 1, "256 to 1024", ONE_EACH, {256, 512, 512, 1024}),
    RESNET(8, 64, 256, 3, 1, "256 to 1024", ONE_EACH, {256, 512, 1024, 1024}),
    RESNET(9, 64, 256, 3, 1, "256 to 1024", {1, 2, 4, 5}, {256, 512, 1024, 1024}),
    RESNET(10, 64, 256, 5, 0, "256 to 1024", {1, 1, 3, 4}, {256, 512, 1024, 1024}),
    {{NULL, NULL}, {.task = ""}},
};

static void resnet_sample(task_spec *spec, lopt_rng_stream *r) {
    static const int patterns[][GROUPS] = {{1, 1, 1, 1}, {1, 2, 4, 8}, {1, 2, 2, 4}, {1, 2, 2, 2}, {1, 2, 4, 4}};
    snprintf(spec->task, sizeof spec->task, "image_resnet");
    int most = task_draw_log_integer(r, 1, 10);
    for (int g = 0; g < GROUPS; g++) spec->resnet.blocks[g] = task_draw_log_integer(r, 1, most);
    const int *pattern = patterns[task_draw_choice(r, sizeof patterns / sizeof *patterns)];
    int channels = task_draw_log_integer(r, 8, 256);
    for (int g = 0; g < GROUPS; g++) spec->resnet.channels[g] = channels * pattern[g];
    spec->resnet.version = 1;
    spec->resnet.stem_size = 3 + 2 * task_draw_choice(r, 3);
    spec->resnet.stem_channels = task_draw_log_integer(r, 8, 64);
    spec->resnet.stem_stride = 2;
    spec->resnet.pool = task_draw_choice(r, 2);
    spec->image_size = task_draw_log_integer(r, 8, 64);
    spec->batch_size = task_draw_log_integer(r, 4, 256);
    spec->loss = TASK_LOSS_CROSS_ENTROPY;
    spec->per_task = 1;
}

static const task_family family = {
    .name = "image_resnet_family",
    .summary = "residual nets: blocks, channels, stem, size, batch; activation of the stem with the task",
    .sample = resnet_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_IMAGE_SETTINGS,
    TASK_ACTIVATION_SETTING,
    TASK_LOSS_SETTING,
    {"resnet.version", TASK_INTEGER(resnet.version), "[1, 2]", "2", NULL,
     "residual nets: 1 normalises after each convolution, 2 before"},
    {"resnet.blocks", TASK_INTEGERS(resnet.blocks, GROUPS, TASK_EXACTLY), "[1, 64]", "[1, 1, 1, 1]", NULL,
     "of each of the four groups"},
    {"resnet.channels", TASK_INTEGERS(resnet.channels, GROUPS, TASK_EXACTLY), "[4, 16384]", "[8, 16, 16, 16]", NULL,
     "of each of the four groups"},
    {"resnet.stem_channels", TASK_INTEGER(resnet.stem_channels), "[1, 16384]", "64", NULL, "of the first convolution"},
    {"resnet.stem_size", TASK_INTEGER(resnet.stem_size), "[1, 64]", "3", "pixels", "side of its window"},
    {"resnet.stem_stride", TASK_INTEGER(resnet.stem_stride), "[1, 64]", "2", "pixels", "its stride"},
    {"resnet.pool", TASK_CHOICE(resnet.pool), "no|yes", "yes", NULL, "whether a 3x3 max pool with stride 2 follows it"},
};

const task_kind task_kind_image_resnet = {
    TASK_IMAGES_FUNCTIONS,
    .name = "image_resnet",
    .summary = "classification of images by a residual net of bottleneck blocks",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = resnet_create,
    .accuracy = task_images_accuracy,
    .names = names,
    .open_settings = "data_split|activation|loss",
    .family = &family,
};
