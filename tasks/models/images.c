/* SPDX-License-Identifier: Apache-2.0
 *
 * images.c - see images.h. */
#include "models/images.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/normaliser.h"
#include "layers/losses.h"

static void add_image_inputs(task_model *m, task_images *self) {
    const task_dataset *d = self->data;
    int channels = d->n_pixels / (d->n_rows * d->n_cols);
    self->images = task_add_input(m, 4, (int64_t[]){self->batch, d->n_rows, d->n_cols, channels});
    self->pixels = task_add_reshape(m, self->images, 2, (int64_t[]){self->batch, d->n_pixels});
    self->labels = task_add_input_ids(m, (size_t)self->batch);
}

task_images *task_images_open(task *t, const task_spec *spec, lopt_error *err) {
    task_images *self = t->self;
    self->data = task_dataset_of(spec, err);
    task_model *m = self->data ? task_model_create(t, err) : NULL;
    if (!m) return NULL;
    self->batch = spec->batch_size;
    self->n_classes = self->data->n_classes;
    add_image_inputs(m, self);
    return self;
}

int task_images_classify(task *t, task_images *self, int logits, const task_spec *spec, task_normaliser_kind clip,
                         lopt_error *err) {
    self->logits = logits;
    if (spec->loss == TASK_LOSS_SQUARED_ERROR) {
        task_add_one_hot_error(t->model, logits, self->labels);
        task_set_normaliser(t, TASK_TEN_TIMES, self->n_classes);
    } else {
        task_add_cross_entropy(t->model, logits, self->labels);
        task_set_normaliser(t, clip, self->n_classes);
    }
    return task_model_finish(t->model, err);
}

size_t task_images_name(task *t, const task_images *self, const task_spec *spec, const char *kind) {
    int n = snprintf(t->name, sizeof t->name, "%s %.40s %dx%d", kind, spec->dataset, self->data->n_rows,
                     self->data->n_cols);
    return (size_t)n < sizeof t->name ? (size_t)n : sizeof t->name - 1;
}

void task_images_destroy(task *t) {
    task_dataset_close(((task_images *)t->self)->data);
}

void task_images_draw(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    const task_images *self = t->self;
    task_run run = {.model = t->model, .work = work};
    task_dataset_draw(self->data, split, r, self->batch, task_value_data(&run, self->images),
                      task_ids_at(work, self->labels));
    task_model_draw(t->model, tau, r, work);
}

real task_images_accuracy(const task *t, const real *tau, void *work, const real *params) {
    const task_images *self = t->self;
    task_model_forward(t->model, tau, work, params);
    const real *logits = task_model_value(t->model, self->logits, work);
    const int32_t *labels = task_ids_at(work, self->labels);
    int n_right = 0;
    for (int i = 0; i < self->batch; i++, logits += self->n_classes) {
        int best = 0;
        for (int c = 1; c < self->n_classes; c++) best = logits[c] > logits[best] ? c : best;
        n_right += best == labels[i];
    }
    return (real)n_right / (real)self->batch;
}
