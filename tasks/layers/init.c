/* SPDX-License-Identifier: Apache-2.0
 *
 * init.c - see init.h. */
#include "layers/init.h"

#include <math.h>

/* Standard deviation of a standard normal truncated to [-2, 2]. */
#define TRUNCATED_STD 0.87962566103423978

enum { CHUNK = 256 }; /* values are drawn as floats: both precisions start alike */

task_init task_init_sampled(task_model *m) {
    task_init init = {.kind = TASK_INIT_SAMPLED, .at = task_sample_choice(m, 5)};
    task_sample_uniform(m, 0.5, 2);
    return init;
}

static void fill_truncated_normals(float scale, size_t n, lopt_rng_stream *r, real *out) {
    float chunk[CHUNK];
    for (size_t i = 0; i < n; i++) {
        size_t left = n - i;
        if (i % CHUNK == 0) lopt_rng_fill_truncated_normals(r, scale, left < CHUNK ? left : CHUNK, chunk);
        out[i] = chunk[i % CHUNK];
    }
}

static void fill_normals(double scale, size_t n, lopt_rng_stream *r, real *out) {
    float chunk[CHUNK];
    for (size_t i = 0; i < n; i++) {
        size_t left = n - i;
        if (i % CHUNK == 0) lopt_rng_fill_normals(r, left < CHUNK ? left : CHUNK, chunk);
        out[i] = (real)scale * chunk[i % CHUNK];
    }
}

static void fill_uniforms(double bound, size_t n, lopt_rng_stream *r, real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (real)(bound * (2 * lopt_rng_draw_uniform(r) - 1));
}

static void fill_constant(double value, size_t n, real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (real)value;
}

static void fill_identity(int64_t rows, int64_t cols, real *out) {
    for (int64_t i = 0; i < rows * cols; i++) out[i] = i / cols == i % cols;
}

/* `count` vectors of n values: value i of vector k at a[i * step + k * next]. */
typedef struct vectors {
    real *a;
    int64_t n, count, step, next;
} vectors;

static void normalise_vector(const vectors *v, int64_t k) {
    real *x = v->a + k * v->next;
    double squares = 0;
    for (int64_t i = 0; i < v->n; i++) squares += (double)x[i * v->step] * (double)x[i * v->step];
    real scale = (real)(1 / sqrt(squares));
    for (int64_t i = 0; i < v->n; i++) x[i * v->step] *= scale;
}

/* Takes their parts along vector j out of vectors k, k + 1, ..., `block` of them. */
static void remove_projections(const vectors *v, int64_t j, int64_t k, int64_t block) {
    double part[CHUNK] = {0};
    const real *x = v->a + j * v->next;
    real *y = v->a + k * v->next;
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t b = 0; b < block; b++) part[b] += (double)x[i * v->step] * (double)y[i * v->step + b * v->next];
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t b = 0; b < block; b++) y[i * v->step + b * v->next] -= (real)part[b] * x[i * v->step];
}

/* Gram and Schmidt, twice against rounding: the Q of a QR decomposition whose R has a positive diagonal. */
static void fill_orthogonal(double scale, int64_t rows, int64_t cols, lopt_rng_stream *r, real *out) {
    vectors v = {out, rows, cols, cols, 1};
    if (rows < cols) v = (vectors){out, cols, rows, 1, cols};
    fill_normals(1, (size_t)(rows * cols), r, out);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t j = 0; j < v.count; j++) {
            normalise_vector(&v, j);
            for (int64_t k = j + 1; k < v.count; k += CHUNK)
                remove_projections(&v, j, k, v.count - k < CHUNK ? v.count - k : CHUNK);
        }
    }
    for (int64_t i = 0; i < rows * cols; i++) out[i] *= (real)scale;
}

void task_init_fill(const task_init *init, const real *tau, int rank, const int64_t *dim, lopt_rng_stream *r,
                    real *out) {
    int64_t cols = rank > 0 ? dim[rank - 1] : 1, rows = 1;
    for (int i = 0; i + 1 < rank; i++) rows *= dim[i];
    size_t n = (size_t)(rows * cols);
    double c = init->scale, fan = (double)rows;
    task_init_kind kind = init->kind;
    if (kind == TASK_INIT_SAMPLED) {
        kind = (task_init_kind)(TASK_INIT_ORTHOGONAL + (int)tau[init->at]);
        c = (double)tau[init->at + 1];
    }
    switch (kind) {
    case TASK_INIT_DEFAULT:
        fill_truncated_normals(1 / sqrtf((float)rows), n, r, out);
        break;
    case TASK_INIT_TRUNCATED:
        fill_truncated_normals((float)c, n, r, out);
        break;
    case TASK_INIT_VARIANCE:
        fill_truncated_normals((float)(sqrt(c / fan) / TRUNCATED_STD), n, r, out);
        break;
    case TASK_INIT_NORMAL:
        fill_normals(c, n, r, out);
        break;
    case TASK_INIT_CONSTANT:
        fill_constant(c, n, out);
        break;
    case TASK_INIT_IDENTITY:
        fill_identity(rows, cols, out);
        break;
    case TASK_INIT_XAVIER:
        fill_uniforms(sqrt(6 / (fan + (double)cols)), n, r, out);
        break;
    case TASK_INIT_ORTHOGONAL:
        fill_orthogonal(c, rows, cols, r, out);
        break;
    case TASK_INIT_UNIFORM:
        fill_uniforms(c * sqrt(3 / fan), n, r, out);
        break;
    case TASK_INIT_FAN_NORMAL:
    case TASK_INIT_FAN_NORMAL_AGAIN:
        fill_normals(sqrt(c / fan), n, r, out);
        break;
    case TASK_INIT_FAN_UNIFORM:
        fill_uniforms(sqrt(3 * c / fan), n, r, out);
        break;
    case TASK_INIT_SAMPLED:
        break;
    }
}
