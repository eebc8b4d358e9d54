/* SPDX-License-Identifier: Apache-2.0
 *
 * image_mlp.c - classification of images by a multi-layer perceptron.
 *
 *     pixels -> (dense, [dropout], [norm], activation) per hidden width -> dense -> loss
 *
 * The loss is cross-entropy, normalised by clipping to [0, 1.5 ln classes]; chance is ln classes (of a
 * family's structures by the parametric tasks' normaliser), or the squared error of one-hot labels. Initial
 * weights: TN(1/sqrt(in)), biases 0. Source: the ImageMLP tasks of learned_optimization (Metz et al. 2022). */
#include <stdio.h>
#include <string.h>

#include "base/draws.h"
#include "layers/activation.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/norm.h"
#include "models/hidden.h"
#include "models/images.h"

/* "image_mlp fashion_mnist 8x8 64-32-10 relu, batch 64" */
static void set_image_mlp_name(task *t, const task_images *self, const task_spec *spec) {
    size_t n = task_images_name(t, self, spec, "image_mlp");
    task_hidden_name(t, n, self->data->n_pixels, self->n_classes, spec);
}

static int image_mlp_create(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = task_images_open(t, spec, err);
    if (!self) return 0;
    task_model *m = t->model;
    task_hidden hidden = task_hidden_plan(m, spec);
    int x = self->pixels;
    for (int l = 0; l < spec->n_hidden; l++) x = task_hidden_layer(m, x, spec->hidden[l], &hidden);
    x = task_add_dense(m, x, self->n_classes, hidden.init);
    set_image_mlp_name(t, self, spec);
    return task_images_classify(t, self, x, spec, spec->per_task ? TASK_LOG_BELOW_CHANCE : TASK_CLIP_TO_CHANCE, err);
}

#define MLP(set, size, batch, layers, ...)                                                                             \
    .spec = {.task = "image_mlp",                                                                                      \
             .dataset = set,                                                                                           \
             .image_size = size,                                                                                       \
             .batch_size = batch,                                                                                      \
             .n_hidden = layers,                                                                                       \
             .hidden = __VA_ARGS__}
#define THREE_128                                                                                                      \
    { 128, 128, 128 }

static const task_name names[] = {
    {{"ImageMLP_Cifar10BW8_Relu32", "CIFAR-10 in grey 8x8, hidden 32, batch 128"},
     MLP("cifar10", 8, 128, 1, {32}, .grey = 1)},
    {{"ImageMLP_FashionMnist8_Relu32", "Fashion-MNIST 8x8, hidden 32, batch 128"},
     MLP("fashion_mnist", 8, 128, 1, {32})},
    {{"ImageMLP_FashionMnist16_Relu32", "Fashion-MNIST 16x16, hidden 32, batch 128"},
     MLP("fashion_mnist", 16, 128, 1, {32})},
    {{"ImageMLP_FashionMnist32_Relu32", "Fashion-MNIST 32x32, hidden 32, batch 128"},
     MLP("fashion_mnist", 32, 128, 1, {32})},
    {{"ImageMLP_FashionMnist_Relu128x128", "Fashion-MNIST 28x28, hidden 128 and 128, batch 128"},
     MLP("fashion_mnist", 28, 128, 2, {128, 128})},
    {{"ImageMLP_Mnist_128x128x128_Relu", "MNIST 28x28, hidden 128, 128 and 128, batch 128"},
     MLP("mnist", 28, 128, 3, THREE_128)},
    {{"ImageMLP_Cifar10_8_Relu32", "CIFAR-10 8x8, hidden 32, batch 128"}, MLP("cifar10", 8, 128, 1, {32})},
    {{"ImageMLP_Imagenet16_Relu256x256x256", "ImageNet 16x16, hidden 256, 256 and 256, batch 128"},
     MLP("imagenet16", 16, 128, 3, {256, 256, 256})},
    {{"ImageMLP_Cifar10_128x128x128_Relu", "CIFAR-10, hidden 128, 128 and 128, batch 128"},
     MLP("cifar10", 32, 128, 3, THREE_128)},
    {{"ImageMLP_Cifar100_128x128x128_Relu", "CIFAR-100, hidden 128, 128 and 128, batch 128"},
     MLP("cifar100", 32, 128, 3, THREE_128)},
    {{"ImageMLP_Cifar10_128x128x128_Tanh_bs64", "CIFAR-10, hidden 128, 128 and 128, tanh, batch 64"},
     MLP("cifar10", 32, 64, 3, THREE_128, .activation = TASK_TANH)},
    {{"ImageMLP_Cifar10_128x128x128_Tanh_bs128", "CIFAR-10, hidden 128, 128 and 128, tanh, batch 128"},
     MLP("cifar10", 32, 128, 3, THREE_128, .activation = TASK_TANH)},
    {{"ImageMLP_Cifar10_128x128x128_Tanh_bs256", "CIFAR-10, hidden 128, 128 and 128, tanh, batch 256"},
     MLP("cifar10", 32, 256, 3, THREE_128, .activation = TASK_TANH)},
    {{"ImageMLP_Cifar10_256x256_Relu", "CIFAR-10, hidden 256 and 256, batch 128"},
     MLP("cifar10", 32, 128, 2, {256, 256})},
    {{"ImageMLP_Cifar10_256x256_Relu_BS32", "CIFAR-10, hidden 256 and 256, batch 32"},
     MLP("cifar10", 32, 32, 2, {256, 256})},
    {{"ImageMLP_Cifar10_1024x1024_Relu", "CIFAR-10, hidden 1024 and 1024, batch 128"},
     MLP("cifar10", 32, 128, 2, {1024, 1024})},
    {{"ImageMLP_Cifar10_4096x4096_Relu", "CIFAR-10, hidden 4096 and 4096, batch 128"},
     MLP("cifar10", 32, 128, 2, {4096, 4096})},
    {{"ImageMLP_Cifar10_8192x8192_Relu", "CIFAR-10, hidden 8192 and 8192, batch 128"},
     MLP("cifar10", 32, 128, 2, {8192, 8192})},
    {{"ImageMLP_Cifar10_16384x16384_Relu", "CIFAR-10, hidden 16384 and 16384, batch 128"},
     MLP("cifar10", 32, 128, 2, {16384, 16384})},
    {{"ImageMLP_Cifar10_128x128x128_Relu_MSE", "CIFAR-10, hidden 128, 128 and 128, squared error, batch 128"},
     MLP("cifar10", 32, 128, 3, THREE_128, .loss = TASK_LOSS_SQUARED_ERROR)},
    {{"ImageMLP_Cifar10_128x128_Dropout02_Relu_MSE", "CIFAR-10, hidden 128 and 128, dropout 0.2, squared error"},
     MLP("cifar10", 32, 128, 2, {128, 128}, .dropout = 0.2, .loss = TASK_LOSS_SQUARED_ERROR)},
    {{"ImageMLP_Cifar10_128x128_Dropout05_Relu_MSE", "CIFAR-10, hidden 128 and 128, dropout 0.5, squared error"},
     MLP("cifar10", 32, 128, 2, {128, 128}, .dropout = 0.5, .loss = TASK_LOSS_SQUARED_ERROR)},
    {{"ImageMLP_Cifar10_128x128_Dropout08_Relu_MSE", "CIFAR-10, hidden 128 and 128, dropout 0.8, squared error"},
     MLP("cifar10", 32, 128, 2, {128, 128}, .dropout = 0.8, .loss = TASK_LOSS_SQUARED_ERROR)},
    {{"ImageMLP_Cifar10_128x128x128_LayerNorm_Relu", "CIFAR-10, hidden 128, 128 and 128, layer norm, batch 128"},
     MLP("cifar10", 32, 128, 3, THREE_128, .norm = TASK_NORM_LAYER)},
    {{"ImageMLP_Cifar10_128x128x128_LayerNorm_Tanh", "CIFAR-10, hidden 128, 128 and 128, layer norm, tanh"},
     MLP("cifar10", 32, 128, 3, THREE_128, .norm = TASK_NORM_LAYER, .activation = TASK_TANH)},
    {{"ImageMLP_Cifar10_128x128x128_BatchNorm_Relu", "CIFAR-10, hidden 128, 128 and 128, batch norm, batch 128"},
     MLP("cifar10", 32, 128, 3, THREE_128, .norm = TASK_NORM_BATCH)},
    {{"ImageMLP_Cifar10_128x128x128_BatchNorm_Tanh", "CIFAR-10, hidden 128, 128 and 128, batch norm, tanh"},
     MLP("cifar10", 32, 128, 3, THREE_128, .norm = TASK_NORM_BATCH, .activation = TASK_TANH)},
    {{NULL, NULL}, {.task = ""}},
};

static void image_mlp_sample(task_spec *spec, lopt_rng_stream *r) {
    snprintf(spec->task, sizeof spec->task, "image_mlp");
    task_draw_hidden(spec, r);
    task_draw_images(spec, r);
    spec->norm = TASK_NORM_NONE;
    spec->dropout = 0;
    spec->loss = TASK_LOSS_CROSS_ENTROPY;
}

static const task_family family = {
    .name = "image_mlp_family",
    .summary = "multi-layer perceptrons on images: width, depth, size, batch; activation and initialisation "
               "with the task",
    .sample = image_mlp_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS, TASK_IMAGE_SETTINGS, TASK_HIDDEN_SETTINGS, TASK_DROPOUT_SETTING, TASK_LOSS_SETTING,
};

const task_kind task_kind_image_mlp = {
    TASK_IMAGES_FUNCTIONS,
    .name = "image_mlp",
    .summary = "classification of images by a multi-layer perceptron of any widths",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = image_mlp_create,
    .accuracy = task_images_accuracy,
    .names = names,
    .open_settings = "data_split",
    .family = &family,
};
