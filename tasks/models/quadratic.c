/* SPDX-License-Identifier: Apache-2.0
 *
 * quadratic.c - quadratics: tasks whose optimum and curvature are known in closed form.
 *
 *     kind                  loss                             parameters at start  tau
 *     quadratic             sum p^2                          N(0,1)               -
 *     quadratic_family      sum (c - p)^2                    N(0,1)               c
 *     noisy_quadratic       sum (s (c - p))^2                N(0,1)               c, s ~ U(0,25)
 *     log_quadratic         ln sum p^2                       N(0,1)               -
 *     sum_quadratic         sum (a + b)^2, tensors a and b   N(0,1)               -
 *     noisy_mean_quadratic  (p - n)' H (p - n)               10 N(0,1)            -
 *
 * c ~ N(0,1). noisy_quadratic adds noise * N(0,1) to every component of the gradient and leaves the
 * loss as it is. noisy_mean_quadratic has H = A A' with one fixed Gaussian A, and draws n ~
 * N(0, noise^2) anew for each evaluation. What is drawn anew is the "batch" of these tasks, so that
 * twins share it; splits mean nothing. Losses are not normalised.
 * Source: the quadratics of learned_optimization (Metz et al. 2022). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/declare.h"
#include "base/setting.h"

typedef struct quadratic {
    int dim;
    double noise;
    double *curvature; /* [dim, dim] H of noisy_mean_quadratic, else NULL */
} quadratic;

static int create_quadratic(task *t, const task_spec *spec, lopt_error *err) {
    (void)err;
    quadratic *q = t->self;
    q->dim = spec->dim;
    q->noise = spec->noise;
    t->flops_per_step = 6.0 * q->dim;
    snprintf(t->name, sizeof t->name, "%s dim %d", spec->task, q->dim);
    return 1;
}

static int quadratic_create_vector(task *t, const task_spec *spec, lopt_error *err) {
    if (!create_quadratic(t, spec, err)) return 0;
    task_add_tensor(t, "p", 1, (int64_t[]){spec->dim});
    return 1;
}

static void quadratic_destroy(task *t) {
    free(((quadratic *)t->self)->curvature);
}

static void fill_scaled_normals(lopt_rng_stream *r, double scale, size_t n, real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (real)(scale * lopt_rng_draw_normal(r));
}

static void quadratic_initial_normals(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    (void)tau;
    fill_scaled_normals(r, 1, t->n_params, params);
}

static void quadratic_draw_nothing(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    (void)t, (void)tau, (void)split, (void)r, (void)work;
}

static real quadratic_normalise(const task *t, real loss) {
    (void)t;
    return loss;
}

/* ---- quadratic and log_quadratic ------------------------------------------------------------- */

static real quadratic_loss_squares(const task *t, const real *tau, void *work, const real *params, real *grads) {
    (void)tau, (void)work;
    double sum = 0;
    for (size_t i = 0; i < t->n_params; i++) sum += (double)params[i] * params[i];
    if (grads) {
        for (size_t i = 0; i < t->n_params; i++) grads[i] = 2 * params[i];
    }
    return (real)sum;
}

static real quadratic_loss_log(const task *t, const real *tau, void *work, const real *params, real *grads) {
    real sum = quadratic_loss_squares(t, tau, work, params, grads);
    if (grads) {
        for (size_t i = 0; i < t->n_params; i++) grads[i] /= sum;
    }
    return (real)log((double)sum);
}

/* ---- sum_quadratic --------------------------------------------------------------------------- */

static int quadratic_create_sum(task *t, const task_spec *spec, lopt_error *err) {
    if (!create_quadratic(t, spec, err)) return 0;
    task_add_tensor(t, "a", 1, (int64_t[]){spec->dim});
    task_add_tensor(t, "b", 1, (int64_t[]){spec->dim});
    return 1;
}

static real quadratic_loss_sum(const task *t, const real *tau, void *work, const real *params, real *grads) {
    (void)tau, (void)work;
    int dim = ((const quadratic *)t->self)->dim;
    double sum = 0;
    for (int i = 0; i < dim; i++) {
        real d = params[i] + params[dim + i];
        sum += (double)d * d;
        if (grads) grads[i] = grads[dim + i] = 2 * d;
    }
    return (real)sum;
}

/* ---- quadratic_family and noisy_quadratic ---------------------------------------------------- */

static int quadratic_create_centre(task *t, const task_spec *spec, lopt_error *err) {
    if (!quadratic_create_vector(t, spec, err)) return 0;
    t->n_tau = (size_t)spec->dim;
    return 1;
}

static void quadratic_sample_centre(const task *t, lopt_rng_stream *r, real *tau) {
    fill_scaled_normals(r, 1, t->n_params, tau);
}

static real quadratic_loss_centre(const task *t, const real *tau, void *work, const real *params, real *grads) {
    (void)work;
    double sum = 0;
    for (size_t i = 0; i < t->n_params; i++) {
        real d = params[i] - tau[i];
        sum += (double)d * d;
        if (grads) grads[i] = 2 * d;
    }
    return (real)sum;
}

/* tau is the centre, then the curvatures' roots s. */
static int quadratic_create_noisy(task *t, const task_spec *spec, lopt_error *err) {
    if (!quadratic_create_vector(t, spec, err)) return 0;
    t->n_tau = 2 * (size_t)spec->dim;
    t->flops_per_step = 10.0 * spec->dim;
    task_add_work(t, t->n_params * sizeof(real));
    return 1;
}

static void quadratic_sample_noisy(const task *t, lopt_rng_stream *r, real *tau) {
    fill_scaled_normals(r, 1, t->n_params, tau);
    for (size_t i = 0; i < t->n_params; i++) tau[t->n_params + i] = (real)(25 * lopt_rng_draw_uniform(r));
}

static void quadratic_draw_noise(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    (void)tau, (void)split;
    fill_scaled_normals(r, ((const quadratic *)t->self)->noise, t->n_params, work);
}

static real quadratic_loss_noisy(const task *t, const real *tau, void *work, const real *params, real *grads) {
    const real *s = tau + t->n_params, *noise = work;
    double sum = 0;
    for (size_t i = 0; i < t->n_params; i++) {
        real d = s[i] * (params[i] - tau[i]);
        sum += (double)d * d;
        if (grads) grads[i] = 2 * s[i] * d + noise[i];
    }
    return (real)sum;
}

/* ---- noisy_mean_quadratic -------------------------------------------------------------------- */

/* H = A A' from one fixed stream: the same H for every task of a dimension. */
static int make_fixed_curvature(quadratic *q) {
    size_t dim = (size_t)q->dim;
    double *a = calloc(dim * dim, sizeof *a);
    q->curvature = calloc(dim * dim, sizeof *q->curvature);
    if (a && q->curvature) {
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){0, LOPT_RNG_TASK, 0, 0, 0});
        for (size_t i = 0; i < dim * dim; i++) a[i] = lopt_rng_draw_normal(&r);
        for (size_t i = 0; i < dim; i++) {
            for (size_t j = 0; j < dim; j++) {
                double *h = &q->curvature[i * dim + j];
                for (size_t k = 0; k < dim; k++) *h += a[i * dim + k] * a[j * dim + k];
            }
        }
    }
    int made = a && q->curvature;
    free(a);
    return made;
}

static int quadratic_create_noisy_mean(task *t, const task_spec *spec, lopt_error *err) {
    if (!quadratic_create_vector(t, spec, err)) return 0;
    if (!make_fixed_curvature(t->self)) {
        return task_set_error(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    }
    t->flops_per_step = 2.0 * spec->dim * spec->dim;
    task_add_work(t, t->n_params * sizeof(real));
    return 1;
}

static void quadratic_initial_wide(const task *t, const real *tau, lopt_rng_stream *r, real *params) {
    (void)tau;
    fill_scaled_normals(r, 10, t->n_params, params);
}

static real quadratic_loss_noisy_mean(const task *t, const real *tau, void *work, const real *params, real *grads) {
    (void)tau;
    const quadratic *q = t->self;
    const real *mean = work;
    double loss = 0;
    for (int i = 0; i < q->dim; i++) {
        double row = 0; /* (H (p - n))_i; H is symmetric */
        for (int j = 0; j < q->dim; j++) {
            row += q->curvature[(size_t)i * (size_t)q->dim + (size_t)j] * ((double)params[j] - mean[j]);
        }
        loss += ((double)params[i] - mean[i]) * row;
        if (grads) grads[i] = (real)(2 * row);
    }
    return (real)loss;
}

/* ---- kinds ----------------------------------------------------------------------------------- */

// clang-format off
#define DIM(range) {"dim", TASK_INTEGER(dim), range, "10", "parameters", "size of a quadratic"}
#define NOISE                                                                                                          \
    {"noise", TASK_NUMBER(noise), "[0, 1000000]", "0", NULL,                                                           \
     "standard deviation of the gradient noise of noisy_quadratic, of the centre of noisy_mean_quadratic"}
// clang-format on

static const task_setting noiseless_settings[] = {DIM("[1, 1000000]")};
static const task_setting noisy_settings[] = {DIM("[1, 1000000]"), NOISE};
static const task_setting noisy_mean_settings[] = {DIM("[1, 512]"), NOISE};

#define SOURCE "learned_optimization, Metz et al. 2022"

static const task_name names[] = {
    {{"Quadratic", "sum of squares of 10 parameters"}, {.task = "quadratic", .dim = 10}},
    {{"FixedDimQuadraticFamily", "squared distance to a sampled centre"}, {.task = "quadratic_family", .dim = 10}},
    {{"NoisyQuadraticFamily", "sampled centre and curvature, gradient noise of scale `noise`"},
     {.task = "noisy_quadratic", .dim = 10}},
    {{"LogQuadratic", "logarithm of the sum of squares of 10 parameters"}, {.task = "log_quadratic", .dim = 10}},
    {{"SumQuadratic", "squared sum of two vectors of 10 parameters"}, {.task = "sum_quadratic", .dim = 10}},
    {{"NoisyMeanQuadratic", "quadratic of 2 parameters, centre redrawn at each evaluation"},
     {.task = "noisy_mean_quadratic", .dim = 2, .noise = 1}},
    {{NULL, NULL}, {.task = ""}},
};

const task_kind task_kind_quadratic = {
    .name = "quadratic",
    .summary = "sum of squares of `dim` parameters",
    .source = SOURCE,
    .settings = noiseless_settings,
    .n_settings = TASK_COUNT(noiseless_settings),
    .self_size = sizeof(quadratic),
    .create = quadratic_create_vector,
    .destroy = quadratic_destroy,
    .initial_params = quadratic_initial_normals,
    .draw_batch = quadratic_draw_nothing,
    .loss = quadratic_loss_squares,
    .normalise = quadratic_normalise,
    .names = names,
};

const task_kind task_kind_quadratic_family = {
    .name = "quadratic_family",
    .summary = "squared distance to a sampled centre",
    .source = SOURCE,
    .settings = noiseless_settings,
    .n_settings = TASK_COUNT(noiseless_settings),
    .open_settings = "dim",
    .self_size = sizeof(quadratic),
    .create = quadratic_create_centre,
    .destroy = quadratic_destroy,
    .sample = quadratic_sample_centre,
    .initial_params = quadratic_initial_normals,
    .draw_batch = quadratic_draw_nothing,
    .loss = quadratic_loss_centre,
    .normalise = quadratic_normalise,
};

const task_kind task_kind_noisy_quadratic = {
    .name = "noisy_quadratic",
    .summary = "sampled centre and curvature, gradient noise of scale `noise`",
    .source = SOURCE,
    .settings = noisy_settings,
    .n_settings = TASK_COUNT(noisy_settings),
    .open_settings = "dim|noise",
    .self_size = sizeof(quadratic),
    .create = quadratic_create_noisy,
    .destroy = quadratic_destroy,
    .sample = quadratic_sample_noisy,
    .initial_params = quadratic_initial_normals,
    .draw_batch = quadratic_draw_noise,
    .loss = quadratic_loss_noisy,
    .normalise = quadratic_normalise,
};

const task_kind task_kind_log_quadratic = {
    .name = "log_quadratic",
    .summary = "logarithm of the sum of squares of `dim` parameters",
    .source = SOURCE,
    .settings = noiseless_settings,
    .n_settings = TASK_COUNT(noiseless_settings),
    .self_size = sizeof(quadratic),
    .create = quadratic_create_vector,
    .destroy = quadratic_destroy,
    .initial_params = quadratic_initial_normals,
    .draw_batch = quadratic_draw_nothing,
    .loss = quadratic_loss_log,
    .normalise = quadratic_normalise,
};

const task_kind task_kind_sum_quadratic = {
    .name = "sum_quadratic",
    .summary = "squared sum of two vectors of `dim` parameters",
    .source = SOURCE,
    .settings = noiseless_settings,
    .n_settings = TASK_COUNT(noiseless_settings),
    .self_size = sizeof(quadratic),
    .create = quadratic_create_sum,
    .destroy = quadratic_destroy,
    .initial_params = quadratic_initial_normals,
    .draw_batch = quadratic_draw_nothing,
    .loss = quadratic_loss_sum,
    .normalise = quadratic_normalise,
};

const task_kind task_kind_noisy_mean_quadratic = {
    .name = "noisy_mean_quadratic",
    .summary = "fixed random curvature, centre of scale `noise` redrawn at each evaluation",
    .source = SOURCE,
    .settings = noisy_mean_settings,
    .n_settings = TASK_COUNT(noisy_mean_settings),
    .self_size = sizeof(quadratic),
    .create = quadratic_create_noisy_mean,
    .destroy = quadratic_destroy,
    .initial_params = quadratic_initial_wide,
    .draw_batch = quadratic_draw_noise,
    .loss = quadratic_loss_noisy_mean,
    .normalise = quadratic_normalise,
};
