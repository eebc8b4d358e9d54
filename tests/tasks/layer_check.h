/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_check.h - layers on their own: gradients against finite differences, float against double.
 *
 * A file tests/test_NAME_both.c is compiled twice into one program, with real as double and as float. It
 * describes small models; the last value may be a loss or anything else, which is then summed with fixed weights:
 *
 *     static int two_dense(task_model *m) {
 *         int x = layer_input(m, 2, (int64_t[]){3, 4});    numbers whose gradient is checked like a parameter's
 *         return task_add_dense(m, task_add_dense(m, x, 5, (task_init){0}), 2, (task_init){0});
 *     }
 *     static const layer_case cases[] = {{"two_dense", two_dense}};
 *     LAYER_CASES(cases)
 *
 * layer_data is an input without a gradient, layer_ids are labels or tokens. Each case is checked for several
 * draws of tau, parameters, inputs and noise. */
#ifndef LAYER_CHECK_H
#define LAYER_CHECK_H

#include <stdio.h>

#include "gradient_check.h"
#include "model/model.h"

typedef struct layer_case {
    const char *name;
    int (*describe)(task_model *m);
} layer_case;

enum { LAYER_DRAWS = 4, LAYER_MAX_INPUTS = 8 };

/* What layer_data and layer_ids asked for, while a case is described. */
static struct {
    int n_data, data[LAYER_MAX_INPUTS], n_ids, limit[LAYER_MAX_INPUTS];
    size_t ids[LAYER_MAX_INPUTS], ids_count[LAYER_MAX_INPUTS];
} layer_asked;

/* ---- layers of the tests ------------------------------------------------------------------------ */

typedef struct layer_numbers {
    task_layer base;
    size_t n;
} layer_numbers;

static void numbers_init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    (void)tau;
    for (size_t i = 0; i < ((const layer_numbers *)l)->n; i++)
        params[l->tensor[0] + i] = (real)(float)lopt_rng_draw_normal(r);
}

static void numbers_forward(const task_layer *l, const task_run *run) {
    memcpy(task_layer_output(run, l), task_layer_tensor_at(run, l, 0), ((const layer_numbers *)l)->n * sizeof(real));
}

static void numbers_backward(const task_layer *l, const task_run *run) {
    memcpy(task_layer_tensor_grad(run, l, 0), task_layer_output_grad(run, l),
           ((const layer_numbers *)l)->n * sizeof(real));
}

/* Its output is its tensor. */
static inline int layer_input(task_model *m, int rank, const int64_t *dim) {
    static const task_layer_kind kind = {
        .name = "numbers", .init = numbers_init, .forward = numbers_forward, .backward = numbers_backward};
    layer_numbers *l = task_add_layer(m, &kind, sizeof *l, 0, NULL, rank, dim);
    cr_assert(l != NULL);
    const task_shape *s = task_value_shape(m, l->base.out);
    l->n = (size_t)(s->rows * s->cols);
    task_add_layer_tensor(m, &l->base, "numbers", rank, dim);
    return l->base.out;
}

/* The loss: sum of x[i] cos(i + 1). */
static void weighted_forward(const task_layer *l, const task_run *run) {
    const real *x = task_layer_input(run, l, 0);
    double sum = 0;
    for (size_t i = 0; i < ((const layer_numbers *)l)->n; i++) sum += (double)x[i] * cos((double)i + 1);
    *task_layer_output(run, l) = (real)sum;
}

static void weighted_backward(const task_layer *l, const task_run *run) {
    real *dx = task_layer_input_grad(run, l, 0);
    for (size_t i = 0; i < ((const layer_numbers *)l)->n; i++) dx[i] = (real)cos((double)i + 1);
}

static inline void layer_weighted_sum(task_model *m, int x) {
    static const task_layer_kind kind = {
        .name = "weighted sum", .forward = weighted_forward, .backward = weighted_backward};
    const task_shape *s = task_value_shape(m, x);
    size_t n = (size_t)(s->rows * s->cols);
    layer_numbers *l = task_add_layer(m, &kind, sizeof *l, 1, &x, 0, NULL);
    cr_assert(l != NULL);
    l->n = n;
}

static inline int layer_data(task_model *m, int rank, const int64_t *dim) {
    return layer_asked.data[layer_asked.n_data++] = task_add_input(m, rank, dim);
}

/* n numbers of -1..limit - 1 if padded, else of 0..limit - 1. */
static inline size_t layer_ids(task_model *m, size_t n, int limit, int padded) {
    int i = layer_asked.n_ids++;
    layer_asked.limit[i] = padded ? -limit : limit;
    layer_asked.ids_count[i] = n;
    return layer_asked.ids[i] = task_add_input_ids(m, n);
}

/* ---- one case, ready to be evaluated -------------------------------------------------------------- */

typedef struct layer_bench {
    task t;
    real *tau;
    void *work;
} layer_bench;

static inline layer_bench *layer_open(const layer_case *c) {
    static const task_kind kind = {.name = "layer test"};
    lopt_error err = {LOPT_OK, ""};
    layer_bench *b = calloc(1, sizeof *b);
    memset(&layer_asked, 0, sizeof layer_asked);
    b->t.kind = &kind;
    task_model *m = task_model_create(&b->t, &err);
    int last = c->describe(m);
    if (last >= 0 && task_value_shape(m, last)->rank > 0) layer_weighted_sum(m, last);
    cr_assert(task_model_finish(m, &err), "%s: %s", c->name, err.text);
    b->tau = aligned((b->t.n_tau + 1) * sizeof(real));
    b->work = aligned(b->t.work_bytes);
    return b;
}

static inline void layer_close(layer_bench *b) {
    task_model_destroy(b->t.model);
    free(b->t.tensors), free(b->tau), free(b->work), free(b);
}

/* tau, initial parameters, moved from special places such as 0, and a batch: a function of draw. */
static inline void layer_draw(layer_bench *b, int draw, real *params) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){7, LOPT_RNG_TEST, (uint64_t)draw, 0, 0});
    task_model_sample(b->t.model, &r, b->tau);
    task_model_init(b->t.model, b->tau, &r, params);
    for (size_t i = 0; i < b->t.n_params; i++) params[i] += (real)(float)(0.1 * lopt_rng_draw_normal(&r));
    task_run run = {.model = b->t.model, .tau = b->tau, .work = b->work};
    for (int k = 0; k < layer_asked.n_data; k++) {
        const task_shape *s = task_value_shape(b->t.model, layer_asked.data[k]);
        real *x = task_value_data(&run, layer_asked.data[k]);
        for (int64_t i = 0; i < s->rows * s->cols; i++) x[i] = (real)(float)lopt_rng_draw_normal(&r);
    }
    for (int k = 0; k < layer_asked.n_ids; k++) {
        int32_t *ids = task_ids_at(b->work, layer_asked.ids[k]);
        int limit = layer_asked.limit[k], padded = limit < 0;
        for (size_t i = 0; i < layer_asked.ids_count[k]; i++)
            ids[i] = (int32_t)lopt_rng_draw_below(&r, (uint64_t)(abs(limit) + padded)) - padded;
    }
    task_model_draw(b->t.model, b->tau, &r, b->work);
}

#ifndef TASK_REAL_DOUBLE

/* Loss and gradient in float at parameters that were made in double. */
#define LAYER_CASES(cases)                                                                                             \
    double layer_run_float(int i, int draw, const double *params, double *grads);                                      \
    double layer_run_float(int i, int draw, const double *params, double *grads) {                                     \
        layer_bench *b = layer_open(&(cases)[i]);                                                                      \
        size_t n = b->t.n_params;                                                                                      \
        float *p = aligned(n * sizeof *p), *g = aligned(n * sizeof *g);                                                \
        layer_draw(b, draw, p);                                                                                        \
        for (size_t k = 0; k < n; k++) p[k] = (float)params[k];                                                        \
        double loss = (double)task_model_loss(b->t.model, b->tau, b->work, p, g);                                      \
        for (size_t k = 0; k < n; k++) grads[k] = (double)g[k];                                                        \
        layer_close(b), free(p), free(g);                                                                              \
        return loss;                                                                                                   \
    }

#else

double layer_run_float(int i, int draw, const double *params, double *grads);

static real layer_loss(void *self, const real *params, real *grads) {
    layer_bench *b = self;
    return task_model_loss(b->t.model, b->tau, b->work, params, grads);
}

static void layer_compare(const layer_case *c, const layer_bench *b, double loss, const double *grads,
                          double loss_float, const double *grads_float) {
    cr_assert(fabs(loss - loss_float) < 1e-5 * (1 + fabs(loss)), "%s: loss %.9g in float, %.9g in double", c->name,
              loss_float, loss);
    for (size_t k = 0, i = 0; k < b->t.n_tensors; k++) {
        double difference = 0, size = 0;
        for (int64_t j = 0; j < lopt_tensor_size(&b->t.tensors[k]); j++, i++) {
            difference += pow(grads[i] - grads_float[i], 2);
            size += pow(grads[i], 2);
        }
        int is_rounding = !strncmp(b->t.tensors[k].name, "key_bias", 8); /* attention.h */
        cr_assert(difference < 1e-8 * (size + (is_rounding ? 1 : 1e-8)),
                  "%s, gradient of %s: relative error %g in float", c->name, b->t.tensors[k].name,
                  sqrt(difference / size));
    }
}

static void layer_check(const layer_case *c, int number) {
    layer_bench *b = layer_open(c);
    size_t bytes = b->t.n_params * sizeof(real);
    real *params = aligned(bytes), *grads = aligned(bytes), *grads_float = aligned(bytes);
    for (int draw = 0; draw < LAYER_DRAWS; draw++) {
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){8, LOPT_RNG_TEST, (uint64_t)draw, 0, 0});
        layer_draw(b, draw, params);
        for (size_t i = 0; i < b->t.n_params; i++) params[i] = (double)(float)params[i];
        gradient_check g = {c->name, b->t.tensors, b->t.n_tensors, params, layer_loss, b, 0};
        check_gradient(&g, &r);
        double loss = layer_loss(b, params, grads);
        layer_compare(c, b, loss, grads, layer_run_float(number, draw, params, grads_float), grads_float);
    }
    layer_close(b), free(params), free(grads), free(grads_float);
}

#define LAYER_CASES(cases)                                                                                             \
    Test(layers, gradients_and_float) {                                                                                \
        for (int i = 0; i < (int)(sizeof(cases) / sizeof *(cases)); i++) layer_check(&(cases)[i], i);                  \
    }

#endif
#endif
