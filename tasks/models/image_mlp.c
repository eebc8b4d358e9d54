/* SPDX-License-Identifier: Apache-2.0
 *
 * image_mlp.c - classification of images by a multi-layer perceptron.
 *
 *     image [batch, pixels] -> (dense, activation) per hidden width -> dense -> cross-entropy
 *
 * The loss is normalised by clipping to [0, 1.5 ln classes], a bit above that of a guess; NaN maps
 * to the upper end. Initial weights: TN(1/sqrt(in)), biases 0. Source: the ImageMLP tasks of
 * learned_optimization (Metz et al. 2022). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "internal.h"
#include "layers/activation.h"
#include "layers/dense.h"
#include "layers/losses.h"

#define MAX_BATCH 65536
#define MAX_WIDTH 65536

typedef struct image_mlp {
    const task_dataset *data;
    int batch, images, logits; /* values */
    size_t labels;
} image_mlp;

static int check(const task_spec *spec, lopt_error *err) {
    if (!task_check_range(spec->task, "batch_size", spec->batch_size, 1, MAX_BATCH, err)) return 0;
    int n = spec->n_hidden;
    const char *hidden = "number of hidden layers";
    if (!task_check_range(spec->task, hidden, n, 0, TASK_MAX_HIDDEN, err)) return 0;
    for (int l = 0; l < n; l++) {
        if (!task_check_range(spec->task, "width", spec->hidden[l], 1, MAX_WIDTH, err)) return 0;
    }
    return task_check_range(spec->task, "activation", spec->activation, TASK_RELU, TASK_N_ACTIVATIONS - 1, err);
}

static int describe(task *t, image_mlp *self, const task_spec *spec, lopt_error *err) {
    task_model *m = task_model_create(t, err);
    int batch = self->batch = spec->batch_size;
    int x = self->images = task_input(m, 2, (int64_t[]){batch, self->data->n_pixels});
    self->labels = task_input_ids(m, (size_t)batch);
    for (int l = 0; l < spec->n_hidden; l++) {
        x = task_dense(m, x, spec->hidden[l], (task_init){0});
        x = task_activation(m, x, spec->activation);
    }
    self->logits = task_dense(m, x, self->data->n_classes, (task_init){0});
    task_cross_entropy(m, self->logits, self->labels);
    return task_model_finish(m, err);
}

/* "image_mlp fashion_mnist 8x8 64-32-10 relu, batch 64" */
static void set_name(task *t, const image_mlp *m, const task_spec *spec) {
    int n = snprintf(t->name, sizeof t->name, "image_mlp %.40s %dx%d %d", spec->dataset,
                     m->data->n_rows, m->data->n_cols, m->data->n_pixels);
    size_t room = sizeof t->name;
    for (int l = 0; l <= spec->n_hidden && (size_t)n < room; l++) {
        int width = l < spec->n_hidden ? spec->hidden[l] : m->data->n_classes;
        n += snprintf(t->name + n, room - (size_t)n, "-%d", width);
    }
    if ((size_t)n < room) {
        snprintf(t->name + n, room - (size_t)n, " %s, batch %d", task_activation_name(spec->activation),
                 m->batch);
    }
}

static int create(task *t, const task_spec *spec, lopt_error *err) {
    if (!check(spec, err)) return 0;
    image_mlp *m = calloc(1, sizeof *m);
    if (!m) return task_fail(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    t->self = m;
    m->data = task_dataset_of(spec, err);
    if (!m->data) return 0;
    if (!describe(t, m, spec, err)) return 0;
    set_name(t, m, spec);
    t->loss_bound = (real)(1.5 * log(m->data->n_classes));
    return 1;
}

static void destroy(task *t) {
    image_mlp *m = t->self;
    if (m) task_dataset_close(m->data);
    free(m);
}

static void draw_batch(const task *t, const real *tau, task_split split, random_stream *r,
                       void *work) {
    const image_mlp *m = t->self;
    task_run run = {.model = t->model, .work = work};
    task_dataset_draw(m->data, split, r, m->batch, task_value(&run, m->images), task_ids(work, m->labels));
    task_model_draw(t->model, tau, r, work);
}

static real normalise(const task *t, real value) {
    real bound = (real)t->loss_bound;
    if (isnan(value) || value > bound) return bound;
    return value < 0 ? 0 : value;
}

static real accuracy(const task *t, const real *tau, void *work, const real *params) {
    const image_mlp *m = t->self;
    task_model_forward(t->model, tau, work, params);
    const real *logits = task_model_value(t->model, m->logits, work);
    const int32_t *labels = task_ids(work, m->labels);
    int n_classes = m->data->n_classes, n_right = 0;
    for (int i = 0; i < m->batch; i++, logits += n_classes) {
        int best = 0;
        for (int c = 1; c < n_classes; c++) best = logits[c] > logits[best] ? c : best;
        n_right += best == labels[i];
    }
    return (real)n_right / (real)m->batch;
}

const task_kind task_kind_image_mlp = {
    .name = "image_mlp",
    .summary = "classification of images by a multi-layer perceptron of any widths",
    .source = "learned_optimization, Metz et al. 2022",
    .create = create,
    .destroy = destroy,
    .draw_batch = draw_batch,
    .normalise = normalise,
    .accuracy = accuracy,
};
