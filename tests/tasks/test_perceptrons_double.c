/* SPDX-License-Identifier: Apache-2.0
 *
 * test_perceptrons_double.c - perceptrons, auto-encoders and variational ones: gradients of every published name and
 * of 50 structures of each family, made small; what the families draw; normalisers. */
#include <stdio.h>

#include "base/declare.h"
#include "base/normaliser.h"
#include "data/dataset.h"
#include "task_check.h"

enum { SAMPLES = 50 };

static task_spec named(const char *name) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "%s", name);
    return spec;
}

static int at_most(int a, int b) {
    return a < b ? a : b;
}

/* The same structure on data that are always there, with few examples and units. */
static void shrink(task_spec *spec) {
    snprintf(spec->dataset, sizeof spec->dataset, "fashion_mnist");
    spec->batch_size = 6 + spec->batch_size % 3;
    spec->image_size = 4 + spec->image_size % 2;
    for (int l = 0; l < spec->n_hidden; l++) spec->hidden[l] = 9 + spec->hidden[l] % 4;
    spec->vae.encoder_width = at_most(spec->vae.encoder_width, 9);
    spec->vae.decoder_width = at_most(spec->vae.decoder_width, 9);
    spec->vae.latent = at_most(spec->vae.latent, 5);
}

static void check_perceptrons(const char *prefix, int expected) {
    int n = 0;
    const task_info *info;
    for (size_t i = 0; (info = task_name_at(i)); i++) {
        if (strncmp(info->name, prefix, strlen(prefix)) != 0) continue;
        task_spec spec = named(info->name);
        lopt_error err;
        cr_assert(task_spec_resolve(&spec, &err), "%s", err.text);
        shrink(&spec);
        n++;
        /* A batch norm undoes the bias before it: gradient 0, which the check refuses; test_layers_both has it. */
        if (spec.norm != TASK_NORM_BATCH) check_task(&spec);
    }
    cr_assert(n == expected, "%d names begin with %s", n, prefix);
}

/* Data sets stay in memory while somebody uses them. */
Test(perceptrons, published) {
    const task_dataset *a = task_dataset_open("fashion_mnist", "", 4, NULL);
    const task_dataset *b = task_dataset_open("fashion_mnist", "", 5, NULL);
    check_perceptrons("ImageMLP_", 27);
    check_perceptrons("ImageMLPAE_", 6);
    task_dataset_close(a);
    task_dataset_close(b);
}

static void check_perceptron_family(const char *name) {
    for (int i = 0; i < SAMPLES; i++) {
        lopt_rng_stream r;
        lopt_error err;
        task_spec spec = named(name);
        lopt_rng_open_stream(&r, (lopt_rng_address){5, LOPT_RNG_TEST, (uint64_t)i, 0, 0});
        cr_assert(task_family_sample(&spec, &r, 0, &err), "%s", err.text);
        cr_assert(spec.image_size >= 4 && spec.image_size < 32 && spec.batch_size >= 4 && spec.batch_size < 512);
        shrink(&spec);
        check_task(&spec);
    }
}

Test(perceptrons, families) {
    const task_dataset *a = task_dataset_open("fashion_mnist", "", 4, NULL);
    const task_dataset *b = task_dataset_open("fashion_mnist", "", 5, NULL);
    check_perceptron_family("image_mlp_family");
    check_perceptron_family("mlp_autoencoder_family");
    check_perceptron_family("mlp_vae_family");
    task_dataset_close(a);
    task_dataset_close(b);
}

/* Log-uniform numbers: the share below the geometric mean of the ends is one half. */
Test(perceptrons, what_a_family_draws) {
    enum { DRAWS = 4000 };
    lopt_rng_stream r;
    int narrow = 0, depth[5] = {0};
    lopt_rng_open_stream(&r, (lopt_rng_address){6, LOPT_RNG_TEST, 0, 0, 0});
    for (int i = 0; i < DRAWS; i++) {
        task_spec spec = named("image_mlp_family");
        spec.hidden[0] = 0;
        cr_assert(task_family_sample(&spec, &r, 0, NULL));
        depth[spec.n_hidden]++;
        narrow += spec.n_hidden > 0 && spec.hidden[0] < 32; /* sqrt(8 128) */
        cr_assert(spec.n_hidden == 0 || (spec.hidden[0] >= 8 && spec.hidden[0] < 128));
    }
    for (int k = 0; k < 5; k++) cr_assert(abs(depth[k] - DRAWS / 5) < 130, "depth %d: %d times", k, depth[k]);
    cr_assert(abs(narrow - (DRAWS - depth[0]) / 2) < 140, "%d of %d are narrow", narrow, DRAWS - depth[0]);
}

Test(perceptrons, family_within_a_cost) {
    lopt_rng_stream r;
    lopt_error err;
    task_spec spec = named("image_mlp_family");
    lopt_rng_open_stream(&r, (lopt_rng_address){6, LOPT_RNG_TEST, 1, 0, 0});
    cr_assert(task_family_sample(&spec, &r, 2e6, &err), "%s", err.text);
    task *t = task_create(&spec, &err);
    cr_assert(t->flops_per_step <= 2e6);
    task_destroy(t);
    spec = named("image_mlp");
    cr_assert(!task_family_sample(&spec, &r, 0, &err) && strstr(err.text, "there is no family \"image_mlp\""));
}

/* Losses at and beyond the ends, by hand. */
Test(perceptrons, normalisers) {
    const double inf = INFINITY, ten = log(10), twenty = log(20), five = 10 / ten;
    const struct {
        task_normaliser_kind kind;
        double loss, expected;
    } rows[] = {
        {TASK_IDENTITY, -3, -3},
        {TASK_IDENTITY, inf, inf},
        {TASK_CLIP_TO_CHANCE, 2, 2},
        {TASK_CLIP_TO_CHANCE, NAN, 1.5 * ten},
        {TASK_CLIP_TO_CHANCE, inf, 1.5 * ten},
        {TASK_CLIP_TO_CHANCE, -inf, 0},
        {TASK_CLIP_TO_CHANCE, 9, 1.5 * ten},
        {TASK_CLIP_TO_CHANCE_NAN, 9, 1.5 * ten},
        {TASK_CLIP_TO_CHANCE_NAN, NAN, NAN},
        {TASK_CLIP_TO_CHANCE_NAN, -inf, 0},
        {TASK_TEN_TIMES, 0.3, 3},
        {TASK_TEN_TIMES, 4, 10},
        {TASK_TEN_TIMES, -inf, 10},
        {TASK_CLIP_ONE, 0.3, 0.3},
        {TASK_CLIP_ONE, 3, 1},
        {TASK_CLIP_ONE, NAN, NAN},
        {TASK_RELATIVE_TO_CHANCE, twenty, 10},
        {TASK_RELATIVE_TO_CHANCE, NAN, 10},
        {TASK_RELATIVE_TO_CHANCE, twenty / 2, 5},
        {TASK_LOG_BELOW_CHANCE, 2, (2 - log(2)) * five},
        {TASK_LOG_BELOW_CHANCE, 9, ten * five},
        {TASK_LOG_BELOW_CHANCE, -inf, ten * five},
        {TASK_LOG, 1 - 1e-8, 10},
        {TASK_LOG, 0.5, 10 + log(0.5 + 1e-8) / 2},
        {TASK_LOG, 0, 4},
        {TASK_LOG, NAN, 10.5},
        {TASK_IS_LOG, -3, 8.5},
        {TASK_IS_LOG, -inf, 10.5},
        {TASK_IS_LOG, -20, 4},
        {TASK_CLIP_TEN, 4, 4},
        {TASK_CLIP_TEN, -inf, 10},
        {TASK_CLIP_TEN_PER_PIXEL, 40, 4},
        {TASK_CLIP_TEN_PER_PIXEL, 200, 10},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        task t = {0};
        task_set_normaliser(&t, rows[i].kind, 10);
        double found = task_normaliser_apply(&t.normaliser, rows[i].loss);
        cr_assert(isnan(rows[i].expected) ? isnan(found)
                                          : found == rows[i].expected || fabs(found - rows[i].expected) < 1e-7,
                  "kind %d of %g: %g, expected %g", (int)rows[i].kind, rows[i].loss, found, rows[i].expected);
        cr_assert(!(found > t.loss_bound), "kind %d of %g: %g, bound %g", (int)rows[i].kind, rows[i].loss, found,
                  t.loss_bound);
    }
}
