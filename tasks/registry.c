/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.c - every kind of task, and the published names that stand for a kind with fixed sizes.
 *
 * A new kind is one file in models/ or families/ and its name twice here. A published name becomes
 * its kind in task_spec_resolve, so what a caller sets after that overrides the published sizes. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "suggest.h"

extern const task_kind task_kind_image_mlp, task_kind_quadratic, task_kind_quadratic_family,
    task_kind_noisy_quadratic, task_kind_log_quadratic, task_kind_sum_quadratic,
    task_kind_noisy_mean_quadratic;

const task_kind *const task_kinds[] = {
    &task_kind_image_mlp,
    &task_kind_quadratic,
    &task_kind_quadratic_family,
    &task_kind_noisy_quadratic,
    &task_kind_log_quadratic,
    &task_kind_sum_quadratic,
    &task_kind_noisy_mean_quadratic,
    NULL,
};

enum { N_KINDS = sizeof task_kinds / sizeof *task_kinds - 1 };

/* Fields a name does not fix are 0 here and keep the value of the spec. */
typedef struct published {
    task_info info;
    const char *kind, *dataset;
    int batch_size, image_size, n_hidden, hidden[3];
    int dim;
    double noise;
} published;

static const published names[] = {
    {{"ImageMLP_FashionMnist8_Relu32", "Fashion-MNIST 8x8, hidden 32, batch 128"},
     "image_mlp", "fashion_mnist", 128, 8, 1, {32}, 0, 0},
    {{"ImageMLP_FashionMnist16_Relu32", "Fashion-MNIST 16x16, hidden 32, batch 128"},
     "image_mlp", "fashion_mnist", 128, 16, 1, {32}, 0, 0},
    {{"ImageMLP_FashionMnist32_Relu32", "Fashion-MNIST 32x32, hidden 32, batch 128"},
     "image_mlp", "fashion_mnist", 128, 32, 1, {32}, 0, 0},
    {{"ImageMLP_FashionMnist_Relu128x128", "Fashion-MNIST 28x28, hidden 128 and 128, batch 128"},
     "image_mlp", "fashion_mnist", 128, 28, 2, {128, 128}, 0, 0},
    {{"ImageMLP_Mnist_128x128x128_Relu", "MNIST 28x28, hidden 128, 128 and 128, batch 128"},
     "image_mlp", "mnist", 128, 28, 3, {128, 128, 128}, 0, 0},
    {{"Quadratic", "sum of squares of 10 parameters"}, "quadratic", NULL, 0, 0, 0, {0}, 10, 0},
    {{"FixedDimQuadraticFamily", "squared distance to a sampled centre"},
     "quadratic_family", NULL, 0, 0, 0, {0}, 0, 0},
    {{"NoisyQuadraticFamily", "sampled centre and curvature, gradient noise of scale `noise`"},
     "noisy_quadratic", NULL, 0, 0, 0, {0}, 0, 0},
    {{"LogQuadratic", "logarithm of the sum of squares of 10 parameters"},
     "log_quadratic", NULL, 0, 0, 0, {0}, 10, 0},
    {{"SumQuadratic", "squared sum of two vectors of 10 parameters"},
     "sum_quadratic", NULL, 0, 0, 0, {0}, 10, 0},
    {{"NoisyMeanQuadratic", "quadratic of 2 parameters, centre redrawn at each evaluation"},
     "noisy_mean_quadratic", NULL, 0, 0, 0, {0}, 2, 1},
};

enum { N_NAMES = sizeof names / sizeof *names };

/* A kind begins with the two fields of a task_info, so a kind can serve as one. */
_Static_assert(offsetof(task_kind, name) == offsetof(task_info, name) &&
                   offsetof(task_kind, summary) == offsetof(task_info, summary),
               "task_kind starts like task_info");

const task_info *task_known(size_t i) {
    if (i < N_KINDS) return (const task_info *)(const void *)task_kinds[i];
    return i - N_KINDS < N_NAMES ? &names[i - N_KINDS].info : NULL;
}

static void apply(const published *p, task_spec *spec) {
    snprintf(spec->task, sizeof spec->task, "%s", p->kind);
    if (p->dataset) snprintf(spec->dataset, sizeof spec->dataset, "%s", p->dataset);
    if (p->batch_size) spec->batch_size = p->batch_size;
    if (p->image_size) spec->image_size = p->image_size;
    if (p->n_hidden) {
        spec->n_hidden = p->n_hidden;
        memcpy(spec->hidden, p->hidden, sizeof p->hidden);
        spec->activation = TASK_RELU;
    }
    if (p->dim) spec->dim = p->dim;
    if (p->noise > 0) spec->noise = p->noise;
}

int task_spec_resolve(task_spec *spec, lopt_error *err) {
    for (int i = 0; i < N_KINDS; i++) {
        if (!strcmp(spec->task, task_kinds[i]->name)) return 1;
    }
    for (int i = 0; i < N_NAMES; i++) {
        if (!strcmp(spec->task, names[i].info.name)) {
            apply(&names[i], spec);
            return 1;
        }
    }
    char text[96];
    const task_info *info;
    lopt__suggestion s = lopt__suggestion_for(spec->task);
    for (size_t i = 0; (info = task_known(i)); i++) lopt__suggest(&s, info->name);
    return task_fail(err, LOPT_EUNKNOWN,
                     "there is no task \"%.64s\"%s: `metatrain list tasks` prints all", spec->task,
                     lopt__suggestion_text(&s, text, sizeof text));
}
