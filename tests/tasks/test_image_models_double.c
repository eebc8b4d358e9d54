/* SPDX-License-Identifier: Apache-2.0
 *
 * test_image_models_double.c - convolutional and residual nets: gradients of every published name and of structures
 * drawn from the families, made small; sizes, first losses and what the published tables say of them. */
#include <stdio.h>

#include "base/declare.h"
#include "data/dataset.h"
#include "model/model.h"
#include "task_check.h"

static task_spec named(const char *name) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "%s", name);
    return spec;
}

static int min(int a, int b) {
    return a < b ? a : b;
}

/* Data sets stay in memory while somebody uses them. */
typedef struct held {
    const task_dataset *images[2];
} held;

static held hold(void) {
    return (held){{task_dataset_open("fashion_mnist", "", 8, NULL), task_dataset_open("fashion_mnist", "", 9, NULL)}};
}

static void let_go(const held *h) {
    for (int i = 0; i < 2; i++) task_dataset_close(h->images[i]);
}

/* The same structure with data that are always there, few examples and few channels: not so few that a layer norm
 * after relu divides by nothing. */
static void shrink(task_spec *spec) {
    snprintf(spec->dataset, sizeof spec->dataset, "fashion_mnist");
    spec->batch_size = 6 + spec->batch_size % 3;
    spec->image_size = 8 + spec->image_size % 2;
    for (int l = 0; l < spec->n_hidden; l++) spec->hidden[l] = 6 + spec->hidden[l] % 4;
    for (int g = 0; g < 4; g++) {
        spec->resnet.blocks[g] = min(spec->resnet.blocks[g], 2);
        spec->resnet.channels[g] = 12 + spec->resnet.channels[g] % 5;
    }
    spec->resnet.stem_channels = min(spec->resnet.stem_channels, 6);
}

Test(image_models, published) {
    held h = hold();
    check_names("Conv_", 11, named, shrink);
    check_names("Resnet_", 11, named, shrink);
    let_go(&h);
}

Test(image_models, families) {
    held h = hold();
    check_family("image_conv_family", named, shrink);
    check_family("image_resnet_family", named, shrink);
    let_go(&h);
}

/* ---- structures ---------------------------------------------------------------------------------- */

/* Parameters of the published sizes, counted by hand from the layers on images of one channel. */
static void check_size(const char *name, const char *dataset, size_t expected) {
    task_spec spec = named(name);
    lopt_error err;
    cr_assert(task_spec_resolve(&spec, &err), "%s", err.text);
    snprintf(spec.dataset, sizeof spec.dataset, "%s", dataset);
    task *t = task_create(&spec, &err);
    cr_assert(t, "%s", err.text);
    cr_assert(t->n_params == expected, "%s: %zu parameters, expected %zu", t->name, t->n_params, expected);
    task_destroy(t);
}

static size_t conv_size(size_t size, size_t in, size_t out) {
    return size * size * in * out;
}

/* Version 2, first of its group: three norms, three convolutions, the projection. */
static size_t block_size(size_t in, size_t out) {
    size_t narrow = out / 4;
    return 2 * (in + narrow + narrow) + conv_size(1, in, narrow) + conv_size(3, narrow, narrow) +
           conv_size(1, narrow, out) + conv_size(1, in, out);
}

Test(image_models, sizes) {
    size_t dense = 64 * 10 + 10;
    check_size("Conv_Cifar10_32x64x64", "fashion_mnist",
               conv_size(3, 1, 32) + conv_size(3, 32, 64) + conv_size(3, 64, 64) + 32 + 64 + 64 + dense);
    check_size("Conv_Cifar10_32x64x64_batchnorm", "fashion_mnist",
               conv_size(3, 1, 32) + conv_size(3, 32, 64) + conv_size(3, 64, 64) + 3 * (32 + 64 + 64) + dense);
    check_size("Resnet_MultiRuntime_1", "fashion_mnist",
               conv_size(3, 1, 64) + block_size(64, 8) + block_size(8, 16) + block_size(16, 16) + block_size(16, 32) +
                   2 * 32 + 32 * 10 + 10);
}

/* The dense layer of a residual net starts at 0: every class is as likely. Strides of the layers, by the shapes. */
Test(image_models, starts) {
    task_spec spec = named("Resnet_MultiRuntime_0");
    lopt_error err;
    cr_assert(task_spec_resolve(&spec, &err), "%s", err.text);
    shrink(&spec);
    task *t = task_create(&spec, &err);
    cr_assert(t, "%s", err.text);
    real *params = aligned(t->n_params * sizeof *params);
    void *work = aligned(t->work_bytes);
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){6, LOPT_RNG_TEST, 0, 0, 0});
    task_initial_params(t, NULL, &r, params);
    task_draw_batch(t, NULL, TASK_TRAIN, &r, work);
    real loss = task_compute_loss(t, NULL, work, params, NULL);
    cr_assert(fabs(loss - log(10)) < 1e-12, "%.15g", loss);
    task_destroy(t);
    free(params), free(work);
}

/* Output sizes of the layers of one kind, in order: "16 16 16". */
static void shapes(const char *name, int image_size, const char *kind, char *text, size_t bytes) {
    task_spec spec = named(name);
    lopt_error err;
    cr_assert(task_spec_resolve(&spec, &err), "%s", err.text);
    shrink(&spec);
    spec.image_size = image_size;
    task *t = task_create(&spec, &err);
    cr_assert(t, "%s", err.text);
    text[0] = 0;
    for (size_t i = 0; i < task_model_n_layers(t->model); i++) {
        const task_layer *l = task_model_layer(t->model, i);
        size_t n = strlen(text);
        if (strcmp(l->kind->name, kind) == 0)
            snprintf(text + n, bytes - n, "%s%d", n ? " " : "", (int)task_value_shape(t->model, l->out)->dim[1]);
    }
    task_destroy(t);
}

Test(image_models, strides) {
    static const struct {
        const char *name, *kind, *sizes;
        int image_size;
    } rows[] = {{"Conv_Cifar10_32x64x64", "conv", "8 8 8", 16},
                {"Resnet_MultiRuntime_0", "max pool", "8", 32},
                {"Resnet_MultiRuntime_0", "conv", "16 8 8 8 8 4 8 4 4 2 4 2 2 1 2 1 1", 32},
                {"Resnet_MultiRuntime_10", "max pool", "", 32}};
    char found[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        shapes(rows[i].name, rows[i].image_size, rows[i].kind, found, sizeof found);
        cr_assert(strcmp(found, rows[i].sizes) == 0, "%s, %s: %s, expected %s", rows[i].name, rows[i].kind, found,
                  rows[i].sizes);
    }
}
