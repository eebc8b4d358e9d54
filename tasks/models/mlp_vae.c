/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp_vae.c - a variational auto-encoder of images, both halves perceptrons.
 *
 *     pixels -> (dense, activation) encoder_layers times -> dense -> mean, ln std [latent each]
 *     z -> (dense, activation) decoder_layers times -> dense -> mean, ln std of each pixel
 *
 * The loss is minus the evidence's lower bound (layers/variational.h). Source: the parametric MLP VAEs of
 * learned_optimization; there centre and per_pixel are drawn with the task, here with the structure. */
#include <stdio.h>

#include "base/draws.h"
#include "base/normaliser.h"
#include "layers/dense.h"
#include "layers/sum.h"
#include "layers/variational.h"
#include "models/hidden.h"
#include "models/images.h"

static void describe_vae_model(task_model *m, const task_images *self, const task_spec *spec) {
    task_hidden hidden = task_hidden_plan(m, spec);
    int target = self->pixels, pixels = self->data->n_pixels;
    if (spec->vae.centre) target = task_add_affine(m, target, 2, -1);
    int x = target;
    for (int l = 0; l < spec->vae.encoder_layers; l++) x = task_hidden_layer(m, x, spec->vae.encoder_width, &hidden);
    int stats = task_add_dense(m, x, 2 * spec->vae.latent, hidden.init);
    x = task_add_gaussian(m, stats);
    for (int l = 0; l < spec->vae.decoder_layers; l++) x = task_hidden_layer(m, x, spec->vae.decoder_width, &hidden);
    x = task_add_dense(m, x, 2 * pixels, hidden.init);
    task_add_elbo(m, stats, x, target, spec->vae.per_pixel);
}

static int mlp_vae_create(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = task_images_open(t, spec, err);
    if (!self) return 0;
    describe_vae_model(t->model, self, spec);
    size_t n = task_images_name(t, self, spec, "mlp_vae");
    snprintf(t->name + n, sizeof t->name - n, " %d of %d, latent %d, %d of %d, batch %d", spec->vae.encoder_layers,
             spec->vae.encoder_width, spec->vae.latent, spec->vae.decoder_layers, spec->vae.decoder_width,
             spec->batch_size);
    task_set_normaliser(t, spec->vae.per_pixel ? TASK_CLIP_TEN : TASK_CLIP_TEN_PER_PIXEL, self->data->n_pixels);
    return task_model_finish(t->model, err);
}

static void mlp_vae_sample(task_spec *spec, lopt_rng_stream *r) {
    snprintf(spec->task, sizeof spec->task, "mlp_vae");
    spec->vae.encoder_width = task_draw_log_integer(r, 4, 128);
    spec->vae.decoder_width = task_draw_log_integer(r, 4, 128);
    spec->vae.encoder_layers = task_draw_choice(r, 5);
    spec->vae.decoder_layers = task_draw_choice(r, 5);
    spec->vae.latent = task_draw_log_integer(r, 2, 128);
    spec->vae.centre = task_draw_choice(r, 2);
    spec->vae.per_pixel = task_draw_choice(r, 2);
    spec->norm = TASK_NORM_NONE;
    spec->dropout = 0;
    spec->per_task = 1;
    task_draw_images(spec, r);
}

static const task_family family = {
    .name = "mlp_vae_family",
    .summary = "variational auto-encoders of images: widths, depths, latent, size, batch; activation and "
               "initialisation with the task",
    .sample = mlp_vae_sample,
};

static const task_setting settings[] = {
    TASK_DATA_SETTINGS,
    TASK_IMAGE_SETTINGS,
    TASK_ACTIVATION_SETTING,
    TASK_NORM_SETTING,
    TASK_DROPOUT_SETTING,
    {"vae.encoder_layers", TASK_INTEGER(vae.encoder_layers), "[0, 64]", "1", "layers",
     "variational auto-encoders: hidden layers of the encoder"},
    {"vae.encoder_width", TASK_INTEGER(vae.encoder_width), "[1, 65536]", "32", "units", "their width"},
    {"vae.decoder_layers", TASK_INTEGER(vae.decoder_layers), "[0, 64]", "1", "layers",
     "variational auto-encoders: hidden layers of the decoder"},
    {"vae.decoder_width", TASK_INTEGER(vae.decoder_width), "[1, 65536]", "32", "units", "their width"},
    {"vae.latent", TASK_INTEGER(vae.latent), "[1, 65536]", "8", NULL, "variational auto-encoders: latent dimensions"},
    {"vae.centre", TASK_CHOICE(vae.centre), "no|yes", "no", NULL,
     "variational auto-encoders: pixels are in [-1, 1] in place of [0, 1]"},
    {"vae.per_pixel", TASK_CHOICE(vae.per_pixel), "no|yes", "no", NULL,
     "variational auto-encoders: the loss is divided by the number of pixels"},
};

const task_kind task_kind_mlp_vae = {
    TASK_IMAGES_FUNCTIONS,
    .name = "mlp_vae",
    .summary = "variational auto-encoder of images, both halves multi-layer perceptrons",
    .source = "learned_optimization, Metz et al. 2022",
    .settings = settings,
    .n_settings = TASK_COUNT(settings),
    .create = mlp_vae_create,
    .family = &family,
};
