/* SPDX-License-Identifier: Apache-2.0
 *
 * losses.c - see losses.h. A loss is the last layer, so its gradient is 1 and no gradient is added to. */
#include "layers/losses.h"

#include <math.h>

#include "math/elementwise.h"

/* ---- of labels --------------------------------------------------------------------------------- */

typedef struct labelled {
    task_layer base;
    int rows, classes;
    size_t labels, scratch;
    const task_elementwise *elementwise;
} labelled;

/* The gradient with the loss: both come from the exponentials. */
static void cross_entropy_forward(const task_layer *l, const task_run *run) {
    const labelled *c = (const labelled *)l;
    *task_layer_output(run, l) = c->elementwise->cross_entropy(
        c->rows, c->classes, task_layer_input(run, l, 0), task_ids_at(run->work, c->labels),
        task_work_at(run->work, c->scratch), run->grads ? task_layer_input_grad(run, l, 0) : NULL);
}

static const task_layer_kind cross_entropy_kind = {.name = "cross entropy", .forward = cross_entropy_forward};

static void one_hot_forward(const task_layer *l, const task_run *run) {
    const labelled *c = (const labelled *)l;
    const real *z = task_layer_input(run, l, 0);
    const int32_t *labels = task_ids_at(run->work, c->labels);
    double sum = 0;
    for (int i = 0; i < c->rows; i++, z += c->classes) {
        for (int k = 0; k < c->classes; k++) {
            double error = (double)z[k] - (k == labels[i]);
            sum += error * error;
        }
    }
    *task_layer_output(run, l) = (real)(sum / ((double)c->rows * c->classes));
}

static void one_hot_backward(const task_layer *l, const task_run *run) {
    const labelled *c = (const labelled *)l;
    const real *z = task_layer_input(run, l, 0);
    const int32_t *labels = task_ids_at(run->work, c->labels);
    real *dz = task_layer_input_grad(run, l, 0), scale = 2 / ((real)c->rows * (real)c->classes);
    for (int i = 0; i < c->rows; i++, z += c->classes, dz += c->classes)
        for (int k = 0; k < c->classes; k++) dz[k] = scale * (z[k] - (k == labels[i]));
}

static const task_layer_kind one_hot_kind = {
    .name = "one-hot error", .forward = one_hot_forward, .backward = one_hot_backward};

static labelled *add_labelled_loss(task_model *m, const task_layer_kind *kind, int logits, size_t labels) {
    if (logits < 0) return NULL;
    task_shape s = *task_value_shape(m, logits);
    labelled *c = task_add_layer(m, kind, sizeof *c, 1, &logits, 0, NULL);
    if (!c) return NULL;
    c->rows = (int)s.rows, c->classes = (int)s.cols;
    c->labels = labels;
    c->elementwise = task_elementwise_best();
    return c;
}

int task_add_cross_entropy(task_model *m, int logits, size_t labels) {
    labelled *c = add_labelled_loss(m, &cross_entropy_kind, logits, labels);
    if (!c) return -1;
    c->scratch = task_add_layer_work(m, task_cross_entropy_scratch(c->rows, c->classes) * sizeof(real));
    return c->base.out;
}

int task_add_one_hot_error(task_model *m, int logits, size_t labels) {
    labelled *c = add_labelled_loss(m, &one_hot_kind, logits, labels);
    return c ? c->base.out : -1;
}

/* ---- of two values ----------------------------------------------------------------------------- */

/* Numbers [outer, axis, inner]; axis is the one that is averaged before the logarithm. */
typedef struct compared {
    task_layer base;
    size_t outer, axis, inner;
    size_t means; /* work of the log variant: [outer, inner] */
} compared;

static void set_difference_grads(const task_layer *l, const task_run *run, size_t i, real gradient) {
    real *dx = task_layer_input_grad(run, l, 0), *dtarget = task_layer_input_grad(run, l, 1);
    if (dx) dx[i] = gradient;
    if (dtarget) dtarget[i] = -gradient;
}

static void squared_error_forward(const task_layer *l, const task_run *run) {
    const compared *c = (const compared *)l;
    const real *x = task_layer_input(run, l, 0), *target = task_layer_input(run, l, 1);
    size_t n = c->outer * c->axis * c->inner;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)x[i] - (double)target[i]) * ((double)x[i] - (double)target[i]);
    *task_layer_output(run, l) = (real)(sum / (double)n);
}

static void squared_error_backward(const task_layer *l, const task_run *run) {
    const compared *c = (const compared *)l;
    const real *x = task_layer_input(run, l, 0), *target = task_layer_input(run, l, 1);
    size_t n = c->outer * c->axis * c->inner;
    for (size_t i = 0; i < n; i++) set_difference_grads(l, run, i, 2 * (x[i] - target[i]) / (real)n);
}

static const task_layer_kind squared_kind = {
    .name = "squared error", .forward = squared_error_forward, .backward = squared_error_backward};

static void log_squared_forward(const task_layer *l, const task_run *run) {
    const compared *c = (const compared *)l;
    const real *x = task_layer_input(run, l, 0), *target = task_layer_input(run, l, 1);
    real *means = task_work_at(run->work, c->means);
    double sum = 0;
    for (size_t o = 0; o < c->outer; o++) {
        for (size_t i = 0; i < c->inner; i++) {
            double squares = 0;
            for (size_t a = 0, at = o * c->axis * c->inner + i; a < c->axis; a++, at += c->inner)
                squares += ((double)x[at] - (double)target[at]) * ((double)x[at] - (double)target[at]);
            means[o * c->inner + i] = (real)(squares / (double)c->axis + 1e-8);
            sum += log((double)means[o * c->inner + i]);
        }
    }
    *task_layer_output(run, l) = (real)(sum / (double)(c->outer * c->inner));
}

static void log_squared_backward(const task_layer *l, const task_run *run) {
    const compared *c = (const compared *)l;
    const real *x = task_layer_input(run, l, 0), *target = task_layer_input(run, l, 1),
               *means = task_work_at(run->work, c->means);
    real n = (real)(c->outer * c->axis * c->inner);
    for (size_t o = 0, at = 0; o < c->outer; o++)
        for (size_t a = 0; a < c->axis; a++)
            for (size_t i = 0; i < c->inner; i++, at++)
                set_difference_grads(l, run, at, 2 * (x[at] - target[at]) / (means[o * c->inner + i] * n));
}

static const task_layer_kind log_kind = {
    .name = "log squared error", .forward = log_squared_forward, .backward = log_squared_backward};

static compared *add_compared_loss(task_model *m, const task_layer_kind *kind, int x, int target) {
    if (x < 0 || target < 0) return NULL;
    task_shape a = *task_value_shape(m, x), b = *task_value_shape(m, target);
    if (a.rows * a.cols != b.rows * b.cols || a.dim[0] != b.dim[0]) {
        task_model_fail(m, "%lld values are compared with %lld", (long long)a.rows * a.cols,
                        (long long)b.rows * b.cols);
        return NULL;
    }
    compared *c = task_add_layer(m, kind, sizeof *c, 2, (int[]){x, target}, 0, NULL);
    if (!c) return NULL;
    c->outer = (size_t)a.dim[0];
    c->axis = a.rank > 1 ? (size_t)a.dim[1] : 1;
    c->inner = (size_t)(a.rows * a.cols) / (c->outer * c->axis);
    return c;
}

int task_add_squared_error(task_model *m, int x, int target) {
    compared *c = add_compared_loss(m, &squared_kind, x, target);
    return c ? c->base.out : -1;
}

int task_add_log_squared_error(task_model *m, int x, int target) {
    compared *c = add_compared_loss(m, &log_kind, x, target);
    if (!c) return -1;
    c->means = task_add_layer_work(m, c->outer * c->inner * sizeof(real));
    return c->base.out;
}
