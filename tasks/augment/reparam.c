/* SPDX-License-Identifier: Apache-2.0
 *
 * reparam.c - reparametrisation: the same task in rescaled parameters.
 *
 * The optimizer sees w = w0 / s, the task computes with s * w, and the gradient is s * dL/dW. The scales
 * s = exp(uniform(ln min, ln max)) are drawn with the task: one for all tensors (global), one per tensor, or
 * one per parameter. tau is the inner task's, then the scales. Source: the task augmentation of VeLO (Metz et al. 2022). */
#include <math.h>

#include "augment/wrap.h"

static const char *const level_names[] = {"none", "global", "tensor", "parameter"};

typedef struct reparam {
    task_reparam level;
    double log_min, log_max;
    size_t n_scales, scaled; /* scaled: work offset of s * w */
} reparam;

static void sample(const task *t, lopt_rng_stream *r, real *tau) {
    const reparam *self = t->self;
    task_sample(t->inner, r, tau);
    real *scales = tau + t->inner->n_tau;
    for (size_t i = 0; i < self->n_scales; i++) {
        double u = lopt_rng_draw_uniform(r);
        scales[i] = (real)exp(self->log_min + u * (self->log_max - self->log_min));
    }
}

static void multiply(size_t n, real scale, const real *in, real *out) {
    for (size_t i = 0; i < n; i++) out[i] = in[i] * scale;
}

/* out[i] = in[i] times the scale of parameter i; out may be in. */
static void rescale(const task *t, const real *tau, const real *in, real *out) {
    const reparam *self = t->self;
    const real *scales = tau + t->inner->n_tau;
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
    const real *scales = tau + t->inner->n_tau;
    size_t i = 0;
    for (size_t k = 0; k < t->n_tensors; k++) {
        size_t end = i + (size_t)lopt_tensor_size(&t->tensors[k]);
        for (; i < end; i++) {
            params[i] /= scales[self->level == TASK_REPARAM_PARAMETER ? i : self->level == TASK_REPARAM_TENSOR ? k : 0];
        }
    }
}

static void initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    task_initial_params(t->inner, tau, r, params);
    unscale(t, tau, params);
}

static real loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    const reparam *self = t->self;
    real *scaled = task_at(work, self->scaled);
    rescale(t, tau, params, scaled);
    real value = task_loss(t->inner, tau, work, scaled, grads);
    if (grads) rescale(t, tau, grads, grads);
    return value;
}

static real accuracy(const task *t, const real *tau, void *work, const real *params) {
    const reparam *self = t->self;
    real *scaled = task_at(work, self->scaled);
    rescale(t, tau, params, scaled);
    return task_accuracy(t->inner, tau, work, scaled);
}

static const task_kind kind = {.name = "reparam",
                               .summary = "another task in rescaled parameters",
                               .source = "VeLO, Metz et al. 2022",
                               .sample = sample,
                               .initial_params = initial_params,
                               .loss = loss,
                               .accuracy = accuracy};

task *task_reparam_wrap(task *inner, const task_spec *spec, lopt_error *err) {
    int wanted = inner && spec->reparam != TASK_REPARAM_NONE;
    task *t = wanted ? task_wrap(inner, &kind, sizeof(reparam), err) : inner;
    if (!t || t == inner) return t;
    reparam *self = t->self;
    self->level = spec->reparam;
    self->log_min = log(spec->reparam_min);
    self->log_max = log(spec->reparam_max);
    self->n_scales = spec->reparam == TASK_REPARAM_GLOBAL   ? 1
                     : spec->reparam == TASK_REPARAM_TENSOR ? inner->n_tensors
                                                            : inner->n_params;
    self->scaled = task_add_work(t, inner->n_params * sizeof(real));
    t->n_tau += self->n_scales;
    t->flops_per_step += 2.0 * (double)inner->n_params;
    task_name_more(t, ", reparam %s %g..%g", level_names[spec->reparam], spec->reparam_min, spec->reparam_max);
    return t;
}
