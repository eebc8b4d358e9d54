/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp_autoencoder.c - an auto-encoder of images, a multi-layer perceptron.
 *
 *     pixels -> (dense, activation) per hidden width -> dense [-> sigmoid, or tanh of centred pixels] -> loss
 *
 * The loss is the mean of (pixel - output)^2, or, with encoder.log_loss, of the logarithm of its mean over a
 * column of the image. Source: the ImageMLPAE tasks of learned_optimization and its parametric MLP
 * auto-encoders; there log_loss, centre and constrain are drawn with the task, here with the structure. */
#include <stdio.h>

#include "base/draws.h"
#include "base/normaliser.h"
#include "layers/activation.h"
#include "layers/dense.h"
#include "layers/losses.h"
#include "layers/sum.h"
#include "models/hidden.h"
#include "models/images.h"

static void set_autoencoder_normaliser(task *t, const task_spec *spec) {
    if (!spec->per_task)
        task_set_normaliser(t, TASK_CLIP_ONE, 1);
    else
        task_set_normaliser(t, spec->encoder.log_loss ? TASK_IS_LOG : TASK_LOG, 1);
}

static void add_pixel_loss(task_model *m, const task_images *self, int x, int target, int log_loss) {
    const task_dataset *d = self->data;
    int64_t dim[] = {self->batch, d->n_rows, d->n_pixels / d->n_rows};
    if (log_loss)
        task_add_log_squared_error(m, task_add_reshape(m, x, 3, dim), target);
    else
        task_add_squared_error(m, x, target);
}

static int autoencoder_create(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = task_images_open(t, spec, err);
    if (!self) return 0;
    task_model *m = t->model;
    task_hidden hidden = task_hidden_plan(m, spec);
    int pixels = self->data->n_pixels, target = self->pixels;
    if (spec->encoder.centre) target = task_add_affine(m, target, 2, -1);
    int x = target;
    for (int l = 0; l < spec->n_hidden; l++) x = task_hidden_layer(m, x, spec->hidden[l], &hidden);
    x = task_add_dense(m, x, pixels, hidden.init);
    if (spec->encoder.constrain) x = task_add_activation(m, x, spec->encoder.centre ? TASK_TANH : TASK_SIGMOID);
    add_pixel_loss(m, self, x, target, spec->encoder.log_loss);
    task_hidden_name(t, task_images_name(t, self, spec, "mlp_autoencoder"), pixels, pixels, spec);
    set_autoencoder_normaliser(t, spec);
    return task_model_finish(m, err);
}

#define AE(name_, text, set, size, batch, ...)                                                                         \
    {                                                                                                                  \
        {"ImageMLPAE_" name_, text}, {                                                                                 \
            .task = "mlp_autoencoder", .dataset = set, .image_size = size, .batch_size = batch, .n_hidden = 3,         \
            .hidden = __VA_ARGS__, .encoder = {                                                                        \
                .constrain = 1                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
    }

static const task_name names[] = {
    AE("Cifar10_32x32x32_bs128", "CIFAR-10 through 32, 32 and 32, batch 128", "cifar10", 32, 128, {32, 32, 32}),
    AE("Cifar10_256x256x256_bs128", "CIFAR-10 through 256, 256 and 256, batch 128", "cifar10", 32, 128,
       {256, 256, 256}),
    AE("Cifar10_256x256x256_bs1024", "CIFAR-10 through 256, 256 and 256, batch 1024", "cifar10", 32, 1024,
       {256, 256, 256}),
    AE("Cifar10_128x32x128_bs256", "CIFAR-10 through 128, 32 and 128, batch 256", "cifar10", 32, 256, {128, 32, 128}),
    AE("Mnist_128x32x128_bs128", "MNIST through 128, 32 and 128, batch 128", "mnist", 28, 128, {128, 32, 128}),
    AE("FashionMnist_128x32x128_bs128", "Fashion-MNIST through 128, 32 and 128, batch 128", "fashion_mnist", 28, 128,
       {128, 32, 128}),
    {{NULL, NULL}, {.task = ""}},
};

static void autoencoder_sample(task_spec *spec, lopt_rng_stream *r) {
    snprintf(spec->task, sizeof spec->task, "mlp_autoencoder");
    task_draw_hidden(spec, r);
    task_draw_images(spec, r);
    spec->norm = TASK_NORM_NONE;
    spec->dropout = 0;
    spec->encoder.log_loss = task_draw_choice(r, 2);
    spec->encoder.centre = task_draw_choice(r, 2);
    spec->encoder.constrain = task_draw_choice(r, 2);
}

static const task_family family = {
    .name = "mlp_autoencoder_family",
    .summary = "perceptron auto-encoders of images: width, depth, size, batch, form of the loss; activation and "
               "initialisation "
               "with the task",
    .sample = autoencoder_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_IMAGE_SETTINGS,
    TASK_HIDDEN_SETTINGS,
    TASK_DROPOUT_SETTING,
    {"encoder.log_loss", TASK_CHOICE(encoder.log_loss), "no|yes", "no", NULL,
     "auto-encoders: the loss is the mean logarithm of the squared error"},
    {"encoder.centre", TASK_CHOICE(encoder.centre), "no|yes", "no", NULL,
     "auto-encoders: pixels are in [-1, 1] in place of [0, 1]"},
    {"encoder.constrain", TASK_CHOICE(encoder.constrain), "no|yes", "yes", NULL,
     "auto-encoders: outputs pass through a tanh or sigmoid of that range"},
};

const task_kind task_kind_mlp_autoencoder = {
    TASK_IMAGES_FUNCTIONS,
    .name = "mlp_autoencoder",
    .summary = "auto-encoder of images, a multi-layer perceptron",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = autoencoder_create,
    .names = names,
    .open_settings = "data_split",
    .family = &family,
};
