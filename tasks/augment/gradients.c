/* SPDX-License-Identifier: Apache-2.0
 *
 * gradients.c - the same loss with another gradient: estimated by ES, of length one, or of a few directions.
 *
 *     es              (1/n) sum_j e_j (L(w + s e_j) - L(w - s e_j)) / (2 s),   e_j ~ N(0, I), one batch
 *     unit gradient   g / |g|
 *     directions      sum_k v_k (v_k . g), or with signs sum_k v_k sign(v_k . g),   v_k random unit vectors
 *
 * The random vectors of a step are drawn with its batch, so twins share them: the batch holds a stream from
 * which they are made anew. Source: the task augmentations of VeLO (Metz et al. 2022). */
#include <math.h>

#include "base/declare.h"
#include "model/delegate.h"

/* ---- random vectors -------------------------------------------------------------------------- */

typedef struct vectors {
    size_t stream, normals, vector; /* work offsets: lopt_rng_stream, float[n_params], real[n_params] */
} vectors;

static void add_random_vectors(task *t, vectors *v) {
    v->stream = task_add_work(t, sizeof(lopt_rng_stream));
    v->normals = task_add_work(t, t->n_params * sizeof(float));
    v->vector = task_add_work(t, t->n_params * sizeof(real));
}

static lopt_rng_stream *stream_of_vectors(const vectors *v, void *work) {
    return (lopt_rng_stream *)(void *)((char *)work + v->stream);
}

static void draw_vector_stream(const task *t, const vectors *v, const real *tau, task_split split, lopt_rng_stream *r,
                               void *work) {
    task_draw_batch(t->inner, tau, split, r, work);
    uint64_t seed = lopt_rng_draw_u64(r);
    lopt_rng_seed_stream(stream_of_vectors(v, work), seed, lopt_rng_draw_u64(r));
}

/* The next vector of N(0, 1). */
static const float *next_random_vector(const task *t, const vectors *v, lopt_rng_stream *r, void *work) {
    float *normals = (float *)(void *)((char *)work + v->normals);
    lopt_rng_fill_normals(r, t->n_params, normals);
    return normals;
}

/* ---- ES -------------------------------------------------------------------------------------- */

typedef struct es {
    vectors draws;
    int pairs;
    real std;
    size_t sum; /* work offset: real[n_params] */
} es;

static void es_draw_batch(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    draw_vector_stream(t, &((const es *)t->self)->draws, tau, split, r, work);
}

static real compute_shifted_loss(const task *t, const real *tau, void *work, const real *params, real distance,
                                 const float *direction) {
    real *shifted = task_work_at(work, ((const es *)t->self)->draws.vector);
    for (size_t i = 0; i < t->n_params; i++) shifted[i] = params[i] + distance * (real)direction[i];
    return task_compute_loss(t->inner, tau, work, shifted, NULL);
}

static real es_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    const es *self = t->self;
    real value = task_compute_loss(t->inner, tau, work, params, NULL);
    if (!grads) return value;
    lopt_rng_stream r = *stream_of_vectors(&self->draws, work);
    for (size_t i = 0; i < t->n_params; i++) grads[i] = 0;
    for (int j = 0; j < self->pairs; j++) {
        const float *e = next_random_vector(t, &self->draws, &r, work);
        real difference = compute_shifted_loss(t, tau, work, params, self->std, e) -
                          compute_shifted_loss(t, tau, work, params, -self->std, e);
        real scale = difference / (2 * self->std * (real)self->pairs);
        for (size_t i = 0; i < t->n_params; i++) grads[i] += scale * (real)e[i];
    }
    return value;
}

static int es_create(task *t, const task_spec *spec, lopt_error *err) {
    (void)err;
    es *self = t->self;
    add_random_vectors(t, &self->draws);
    self->pairs = spec->es_pairs;
    self->std = (real)spec->es_std;
    /* A gradient costs as much as three evaluations of the loss. */
    t->flops_per_step =
        (1 + 2.0 * self->pairs) * t->inner->flops_per_step / 3 + 6.0 * self->pairs * (double)t->n_params;
    task_append_name(t, ", es %d pairs of %g", spec->es_pairs, spec->es_std);
    return 1;
}

static const task_setting es_settings[] = {
    {"augment.es.pairs", TASK_INTEGER(es_pairs), "[0, 65536]", "0", "pairs",
     "gradients are estimated by ES from this many antithetic pairs of losses; 0: exact gradients"},
    {"augment.es.std", TASK_NUMBER(es_std), "(0, 1000000000]", "0.01", NULL,
     "standard deviation of their perturbations"},
};

const task_kind task_wrapper_es = {
    .name = "es gradient",
    .settings = es_settings,
    .n_settings = TASK_COUNT(es_settings),
    .self_size = sizeof(es),
    .create = es_create,
    .draw_batch = es_draw_batch,
    .loss = es_loss,
};

/* ---- unit gradient --------------------------------------------------------------------------- */

/* Summed in double, so that neither a large model nor a large gradient loses it. */
static double dot_product(size_t n, const real *a, const real *b) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static real unit_gradient_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    real value = task_compute_loss(t->inner, tau, work, params, grads);
    if (!grads) return value;
    double norm = sqrt(dot_product(t->n_params, grads, grads));
    for (size_t i = 0; i < t->n_params; i++) grads[i] = (real)((double)grads[i] / norm);
    return value;
}

static int unit_gradient_create(task *t, const task_spec *spec, lopt_error *err) {
    (void)spec, (void)err;
    task_append_name(t, ", unit gradient");
    return 1;
}

static const task_setting unit_gradient_settings[] = {
    {"augment.gradient", TASK_CHOICE(unit_gradient), "plain|unit", "plain", NULL,
     "unit: gradients are normalised to length 1"},
};

const task_kind task_wrapper_unit_gradient = {
    .name = "unit gradient",
    .settings = unit_gradient_settings,
    .n_settings = TASK_COUNT(unit_gradient_settings),
    .create = unit_gradient_create,
    .loss = unit_gradient_loss,
};

/* ---- directions ------------------------------------------------------------------------------ */

typedef struct directions {
    vectors draws;
    int n, signs;
} directions;

static void directions_draw_batch(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work) {
    draw_vector_stream(t, &((const directions *)t->self)->draws, tau, split, r, work);
}

/* What v_k / |v_k|^2 or v_k / |v_k| is multiplied by, for a v of any length. */
static double scale_along_vector(const directions *self, size_t n, const float *v, const real *g) {
    double product = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        product += (double)v[i] * (double)g[i];
        square += (double)v[i] * (double)v[i];
    }
    if (!self->signs) return product / square;
    return (double)((product > 0) - (product < 0)) / sqrt(square) + 0 * product; /* NaN stays */
}

static real directions_loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    const directions *self = t->self;
    real *g = task_work_at(work, self->draws.vector);
    real value = task_compute_loss(t->inner, tau, work, params, grads);
    if (!grads) return value;
    lopt_rng_stream r = *stream_of_vectors(&self->draws, work);
    for (size_t i = 0; i < t->n_params; i++) {
        g[i] = grads[i];
        grads[i] = 0;
    }
    for (int k = 0; k < self->n; k++) {
        const float *v = next_random_vector(t, &self->draws, &r, work);
        real scale = (real)scale_along_vector(self, t->n_params, v, g);
        for (size_t i = 0; i < t->n_params; i++) grads[i] += scale * (real)v[i];
    }
    return value;
}

static int directions_create(task *t, const task_spec *spec, lopt_error *err) {
    (void)err;
    directions *self = t->self;
    add_random_vectors(t, &self->draws);
    self->n = spec->directions;
    self->signs = (int)spec->direction_signs;
    t->flops_per_step += 6.0 * self->n * (double)t->n_params;
    task_append_name(t, ", %d directions%s", self->n, self->signs ? ", signs" : "");
    return 1;
}

static const task_setting directions_settings[] = {
    {"augment.directions.count", TASK_INTEGER(directions), "[0, 65536]", "0", NULL,
     "gradients are projected on this many random directions, redrawn every step; 0: full gradients"},
    {"augment.directions.known", TASK_CHOICE(direction_signs), "slope|sign", "slope", NULL,
     "what is kept of the gradient along a direction: the slope or its sign"},
};

const task_kind task_wrapper_directions = {
    .name = "directions",
    .settings = directions_settings,
    .n_settings = TASK_COUNT(directions_settings),
    .self_size = sizeof(directions),
    .create = directions_create,
    .draw_batch = directions_draw_batch,
    .loss = directions_loss,
};
