/* SPDX-License-Identifier: Apache-2.0
 *
 * reparam.c - reparametrisation: the same task in rescaled parameters.
 *
 * The optimizer sees w = w0 / s, the task computes with s * w, and the gradient is s * dL/dW. The scales
 * s = exp(uniform(ln min, ln max)) are drawn with the task: one for all tensors (global), one per tensor, or
 * one per parameter. tau is the inner task's, then the scales. Source: the task augmentation of VeLO (Metz et al. 2022). */
#include <math.h>

#include "base/declare.h"
#include "model/delegate.h"

typedef struct reparam {
    task_reparam level;
    double log_min, log_max;
    size_t n_scales, scaled; /* scaled: work offset of s * w */
} reparam;

static void reparam_sample(const task *t, lopt_rng_stream *r, real *tau) {
    const reparam *self = t->self;
    task_sample_tau(t->inner, r, tau);
    real *scales = tau + t->inner->n_tau;
    for (size_t i = 0; i < self->n_scales; i++) {
        double u = lopt_rng_draw_uniform(r);
        scales[i] = (real)exp(self->log_min + u * (self->log_max - self->log_min));
    }
}

static void multiply_by_scale(size_t n, real scale, const real *in, real *out) {
    for (size_t i = 0; i < n; i++) out[i] = in[i] * scale;
}

/* out[i] = in[i] times the scale of parameter i; out may be in. */
static void rescale_params(const task *t, const real *tau, const real *in, real *out) {
    const reparam *self = t->self;
    const real *scales = tau + t->inner->n_tau;
    if (self->level == TASK_REPARAM_PARAMETER) {
        for (size_t i = 0; i < t->n_params; i++) out[i] = in[i] * scales[i];
        return;
    }
    for (size_t k = 0, i = 0; k < t->n_tensors; k++) {
        size_t n = (size_t)lopt_tensor_size(&t->tensors[k]);
        multiply_by_scale(n, scales[self->level == TASK_REPARAM_TENSOR ? k : 0], in + i, out + i);
        i += n;
    }
}

/* params / s, by the same scales. */
static void unscale_params(const task *t, const real *tau, real *params) {
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

static void reparam_initial_params(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    task_initial_params(t->inner, tau, r, params);
    unscale_params(t, tau, params);
}

static real reparam_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    const reparam *self = t->self;
    real *scaled = task_work_at(work, self->scaled);
    rescale_params(t, tau, params, scaled);
    real value = task_compute_loss(t->inner, tau, work, scaled, grads);
    if (grads) rescale_params(t, tau, grads, grads);
    return value;
}

static real reparam_accuracy(const task *t, const real *tau, void *work, const real *params) {
    const reparam *self = t->self;
    real *scaled = task_work_at(work, self->scaled);
    rescale_params(t, tau, params, scaled);
    return task_compute_accuracy(t->inner, tau, work, scaled);
}

static int reparam_create(task *t, const task_spec *spec, lopt_error *err) {
    (void)err;
    reparam *self = t->self;
    self->level = spec->reparam;
    self->log_min = log(spec->reparam_range[0]);
    self->log_max = log(spec->reparam_range[1]);
    self->n_scales = spec->reparam == TASK_REPARAM_GLOBAL   ? 1
                     : spec->reparam == TASK_REPARAM_TENSOR ? t->inner->n_tensors
                                                            : t->inner->n_params;
    self->scaled = task_add_work(t, t->inner->n_params * sizeof(real));
    t->n_tau += self->n_scales;
    t->flops_per_step += 2.0 * (double)t->inner->n_params;
    static const char *const levels[] = {TASK_REPARAMS(TASK_STRING)};
    task_append_name(t, ", reparam %s %g..%g", levels[spec->reparam], spec->reparam_range[0], spec->reparam_range[1]);
    return 1;
}

static const task_setting reparam_settings[] = {
    {"augment.reparam.level", TASK_CHOICE(reparam), TASK_WORDS(TASK_REPARAMS), "none", NULL,
     "rescale the parameters seen by the optimizer: w = scale · stored, with one scale for all, per tensor or per "
     "parameter, drawn anew for every trajectory"},
    {"augment.reparam.range", TASK_NUMBERS(reparam_range, 2, TASK_EXACTLY), "(0, 1000000000]", "[0.01, 100]", NULL,
     "bounds of the scales, which are drawn log-uniformly"},
};

const task_kind task_wrapper_reparam = {
    .name = "reparam",
    .settings = reparam_settings,
    .n_settings = TASK_COUNT(reparam_settings),
    .self_size = sizeof(reparam),
    .create = reparam_create,
    .sample = reparam_sample,
    .initial_params = reparam_initial_params,
    .loss = reparam_loss,
    .accuracy = reparam_accuracy,
};
