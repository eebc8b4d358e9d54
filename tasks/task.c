/* SPDX-License-Identifier: Apache-2.0
 *
 * task.c - the doors of task.h: defaults, creation, and calls passed on to the kind. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "augment/wrap.h"
#include "declare.h"
#include "model.h"
#include "normaliser.h"

int task_fail(lopt_error *err, lopt_status status, const char *format, ...) {
    if (!err) return 0;
    va_list args;
    va_start(args, format);
    err->status = status;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return 0;
}

int task_check_range(const char *name, const char *field, double value, double min, double max, lopt_error *err) {
    if (value >= min && value <= max) return 1;
    return task_fail(err, LOPT_EARG, "task %s: %s is %g, allowed: %g to %g", name, field, value, min, max);
}

task_spec task_spec_default(void) {
    return (task_spec){
        .task = "image_mlp",
        .dataset = "fashion_mnist",
        .batch_size = 64,
        .image_size = 8,
        .n_hidden = 1,
        .hidden = {32},
        .activation = TASK_RELU,
        .strided = 1,
        .resnet = {2, {1, 1, 1, 1}, {8, 16, 16, 16}, 64, 3, 2, 1},
        .dim = 10,
        .encoder = {.constrain = 1},
        .vae = {.encoder_layers = 1, .encoder_width = 32, .decoder_layers = 1, .decoder_width = 32, .latent = 8},
        .sequence = {.tokens = 259,
                     .length = 8,
                     .embed = 8,
                     .width = 8,
                     .layers = 1,
                     .heads = 2,
                     .head_size = 4,
                     .mlp = 16,
                     .token_mlp = 4,
                     .patch = 4},
        .reparam = TASK_REPARAM_NONE,
        .reparam_min = 0.01,
        .reparam_max = 100,
        .batch_fraction = 1,
        .es_std = 0.01,
    };
}

/* Where memory lacks, n_tensors counts on but tensors is NULL: create_plain notices. */
size_t task_add_tensor(task *t, const char *name, int rank, const int64_t *dim) {
    size_t offset = t->n_params;
    lopt_tensor tensor = lopt_tensor_make(name, rank, dim);
    lopt_tensor *more = NULL;
    if (t->tensors || t->n_tensors == 0) more = realloc(t->tensors, (t->n_tensors + 1) * sizeof *more);
    if (more) more[t->n_tensors] = tensor;
    if (!more) free(t->tensors);
    t->tensors = more;
    t->n_params += (size_t)lopt_tensor_size(&tensor);
    t->n_tensors++;
    return offset;
}

size_t task_add_work(task *t, size_t bytes) {
    size_t offset = t->work_bytes;
    t->work_bytes += (bytes + TASK_ALIGNMENT - 1) / TASK_ALIGNMENT * TASK_ALIGNMENT;
    return offset;
}

static task *create_plain(const task_spec *spec, lopt_error *err) {
    task *t = calloc(1, sizeof *t);
    if (!t) {
        task_fail(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
        return NULL;
    }
    t->kind = task_kind_find(spec->task); /* task_spec_resolve has found the name */
    t->loss_bound = INFINITY;
    int ok = t->kind->create(t, spec, err);
    if (ok && !t->tensors) ok = task_fail(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    if (ok) return t;
    task_destroy(t);
    return NULL;
}

static int check_augmentation(const task_spec *s, lopt_error *err) {
    return task_check_range(s->task, "reparam level", s->reparam, TASK_REPARAM_NONE, TASK_REPARAM_PARAMETER, err) &&
           task_check_range(s->task, "reparam range minimum", s->reparam_min, 1e-10, 1e10, err) &&
           task_check_range(s->task, "reparam range maximum", s->reparam_max, s->reparam_min, 1e10, err) &&
           task_check_range(s->task, "batch fraction", s->batch_fraction, 1e-9, 1, err) &&
           task_check_range(s->task, "es pairs", s->es_pairs, 0, 65536, err) &&
           task_check_range(s->task, "es std", s->es_std, 1e-10, 1e10, err) &&
           task_check_range(s->task, "directions", s->directions, 0, 65536, err) &&
           task_check_range(s->task, "delay", s->delay, 0, 65536, err);
}

/* The first examples of a batch are a batch of fewer. */
static int reduced(int batch_size, double fraction) {
    int fewer = (int)(batch_size * fraction);
    return fewer < 1 && batch_size > 0 ? 1 : fewer;
}

task *task_create(const task_spec *spec, lopt_error *err) {
    task_spec resolved = *spec;
    if (!task_spec_resolve(&resolved, err) || !check_augmentation(&resolved, err)) return NULL;
    resolved.batch_size = reduced(resolved.batch_size, resolved.batch_fraction);
    return task_augment(create_plain(&resolved, err), &resolved, err);
}

void task_destroy(task *t) {
    if (!t) return;
    if (t->kind->destroy) t->kind->destroy(t);
    if (t->inner) {
        free(t->self);
        task_destroy(t->inner);
    } else {
        task_model_destroy(t->model);
        free(t->tensors);
    }
    free(t);
}

/* What a kind leaves out is the wrapped task's, else the model's. */

void task_sample(const task *t, lopt_rng_stream *r, real *tau) {
    if (t->kind->sample)
        t->kind->sample(t, r, tau);
    else if (t->inner)
        task_sample(t->inner, r, tau);
    else if (t->model)
        task_model_sample(t->model, r, tau);
}

void task_initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    if (t->kind->initial_params)
        t->kind->initial_params(t, tau, r, params);
    else if (t->inner)
        task_initial_params(t->inner, tau, r, params);
    else
        task_model_init(t->model, tau, r, params);
}

void task_draw_batch(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    if (t->kind->draw_batch)
        t->kind->draw_batch(t, tau, split, r, work);
    else
        task_draw_batch(t->inner, tau, split, r, work);
}

void task_after_step(const task *t, const real *tau, real *params) {
    if (t->kind->after_step)
        t->kind->after_step(t, tau, params);
    else if (t->inner)
        task_after_step(t->inner, tau, params);
}

real task_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    if (t->kind->loss) return t->kind->loss(t, tau, work, params, grads);
    if (t->inner) return task_loss(t->inner, tau, work, params, grads);
    return task_model_loss(t->model, tau, work, params, grads);
}

real task_normalise(const task *t, real loss) {
    if (t->inner) return task_normalise(t->inner, loss);
    return t->kind->normalise ? t->kind->normalise(t, loss) : task_normaliser_apply(&t->normaliser, loss);
}

int task_has_accuracy(const task *t) {
    return t->inner ? task_has_accuracy(t->inner) : t->kind->accuracy != NULL;
}

real task_accuracy(const task *t, const real *tau, void *work, const real *params) {
    if (!task_has_accuracy(t)) return (real)NAN;
    if (t->kind->accuracy) return t->kind->accuracy(t, tau, work, params);
    return task_accuracy(t->inner, tau, work, params);
}
