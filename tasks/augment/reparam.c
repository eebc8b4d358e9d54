/* SPDX-License-Identifier: Apache-2.0
 *
 * reparam.c - see reparam.h. */
#include "augment/reparam.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *const level_names[] = {"none", "global", "tensor", "parameter"};

typedef struct reparam {
    task *inner;
    task_reparam level;
    double log_min, log_max;
    size_t n_scales, scaled; /* scaled: work offset of s * w */
} reparam;

static void destroy(task *t) {
    reparam *self = t->self;
    task_destroy(self->inner);
    t->tensors = NULL; /* those and the model were the inner task's */
    t->model = NULL;
    free(self);
}

static void sample(const task *t, random_stream *r, real *tau) {
    const reparam *self = t->self;
    task_sample(self->inner, r, tau);
    real *scales = tau + self->inner->n_tau;
    for (size_t i = 0; i < self->n_scales; i++) {
        double u = random_uniform(r);
        scales[i] = (real)exp(self->log_min + u * (self->log_max - self->log_min));
    }
}

static void multiply(size_t n, real scale, const real *in, real *out) {
    for (size_t i = 0; i < n; i++) out[i] = in[i] * scale;
}

/* out[i] = in[i] times the scale of parameter i; out may be in. */
static void rescale(const task *t, const real *tau, const real *in, real *out) {
    const reparam *self = t->self;
    const real *scales = tau + self->inner->n_tau;
    if (self->level == TASK_REPARAM_PARAMETER) {
        for (size_t i = 0; i < t->n_params; i++) out[i] = in[i] * scales[i];
        return;
    }
    for (size_t k = 0, i = 0; k < t->n_tensors; k++) {
        size_t n = (size_t)lopt_tensor_size(&t->tensors[k]);
        multiply(n, scales[self->level == TASK_REPARAM_TENSOR ? k : 0], in + i, out + i);
        i += n;
    }
}

/* params / s, by the same scales. */
static void unscale(const task *t, const real *tau, real *params) {
    const reparam *self = t->self;
    const real *scales = tau + self->inner->n_tau;
    size_t i = 0;
    for (size_t k = 0; k < t->n_tensors; k++) {
        size_t end = i + (size_t)lopt_tensor_size(&t->tensors[k]);
        for (; i < end; i++) {
            params[i] /= scales[self->level == TASK_REPARAM_PARAMETER ? i
                                : self->level == TASK_REPARAM_TENSOR  ? k
                                                                      : 0];
        }
    }
}

static void initial_params(const task *t, const real *tau, random_stream *r, real *params) {
    const reparam *self = t->self;
    task_initial_params(self->inner, tau, r, params);
    unscale(t, tau, params);
}

static void draw_batch(const task *t, const real *tau, task_split split, random_stream *r,
                       void *work) {
    task_draw_batch(((const reparam *)t->self)->inner, tau, split, r, work);
}

static real loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    const reparam *self = t->self;
    real *scaled = task_at(work, self->scaled);
    rescale(t, tau, params, scaled);
    real value = task_loss(self->inner, tau, work, scaled, grads);
    if (grads) rescale(t, tau, grads, grads);
    return value;
}

static real normalise(const task *t, real value) {
    return task_normalise(((const reparam *)t->self)->inner, value);
}

static real accuracy(const task *t, const real *tau, void *work, const real *params) {
    const reparam *self = t->self;
    real *scaled = task_at(work, self->scaled);
    rescale(t, tau, params, scaled);
    return task_accuracy(self->inner, tau, work, scaled);
}

#define REPARAM_KIND                                                                               \
    .name = "reparam", .summary = "another task in rescaled parameters",                           \
    .source = "VeLO, Metz et al. 2022", .destroy = destroy, .sample = sample,                      \
    .initial_params = initial_params, .draw_batch = draw_batch, .loss = loss,                      \
    .normalise = normalise

static const task_kind kind = {REPARAM_KIND, .accuracy = accuracy};
static const task_kind kind_without_accuracy = {REPARAM_KIND};

static int check(const task_spec *spec, lopt_error *err) {
    if (!task_check_range(spec->task, "reparam level", spec->reparam, TASK_REPARAM_GLOBAL,
                          TASK_REPARAM_PARAMETER, err)) {
        return 0;
    }
    return task_check_range(spec->task, "reparam range minimum", spec->reparam_min, 1e-10, 1e10,
                            err) &&
           task_check_range(spec->task, "reparam range maximum", spec->reparam_max,
                            spec->reparam_min, 1e10, err);
}

static void fill(task *t, reparam *self, task *inner, const task_spec *spec) {
    *self = (reparam){
        .inner = inner,
        .level = spec->reparam,
        .log_min = log(spec->reparam_min),
        .log_max = log(spec->reparam_max),
        .n_scales = spec->reparam == TASK_REPARAM_GLOBAL   ? 1
                    : spec->reparam == TASK_REPARAM_TENSOR ? inner->n_tensors
                                                           : inner->n_params,
    };
    *t = *inner;
    t->kind = task_has_accuracy(inner) ? &kind : &kind_without_accuracy;
    t->self = self;
    t->n_tau = inner->n_tau + self->n_scales;
    t->flops_per_step = inner->flops_per_step + 2.0 * (double)inner->n_params;
    self->scaled = task_add_work(t, inner->n_params * sizeof(real));
    size_t used = strlen(t->name);
    snprintf(t->name + used, sizeof t->name - used, ", reparam %s %g..%g",
             level_names[spec->reparam], spec->reparam_min, spec->reparam_max);
}

task *task_reparam_wrap(task *inner, const task_spec *spec, lopt_error *err) {
    task *t = calloc(1, sizeof *t);
    reparam *self = calloc(1, sizeof *self);
    if (t && self && check(spec, err)) {
        fill(t, self, inner, spec);
        return t;
    }
    if (!t || !self) task_fail(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    free(t);
    free(self);
    task_destroy(inner);
    return NULL;
}
