/* SPDX-License-Identifier: Apache-2.0
 *
 * image_mlp.c - classification of images by a multi-layer perceptron.
 *
 *     image [batch, pixels] -> (dense, activation) per hidden width -> dense -> cross-entropy
 *
 * The loss is normalised by clipping to [0, 1.5 ln classes], a bit above that of a guess; NaN maps
 * to the upper end. Initial weights: TN(1/sqrt(in)), biases 0. Source: the ImageMLP tasks of
 * learned_optimization (Metz et al. 2022). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "internal.h"
#include "layers/dense.h"

#define MAX_BATCH 65536
#define MAX_WIDTH 65536

typedef struct image_mlp {
    const task_dataset *data;
    int batch, n_layers;
    task_dense layers[TASK_MAX_HIDDEN + 1];
    const task_elementwise *elementwise;
    size_t images, labels, softmax; /* work offsets */
} image_mlp;

static const char *const activation_names[] = {"relu", "tanh", "gelu"};

static int check(const task_spec *spec, lopt_error *err) {
    if (!task_check_range(spec->task, "batch_size", spec->batch_size, 1, MAX_BATCH, err)) return 0;
    int n = spec->n_hidden;
    const char *hidden = "number of hidden layers";
    if (!task_check_range(spec->task, hidden, n, 0, TASK_MAX_HIDDEN, err)) return 0;
    for (int l = 0; l < n; l++) {
        if (!task_check_range(spec->task, "width", spec->hidden[l], 1, MAX_WIDTH, err)) return 0;
    }
    return task_check_range(spec->task, "activation", spec->activation, TASK_RELU, TASK_GELU, err);
}

static void plan(task *t, image_mlp *m, const task_spec *spec) {
    const task_dataset *data = m->data;
    size_t batch = (size_t)spec->batch_size;
    m->batch = spec->batch_size;
    m->n_layers = spec->n_hidden + 1;
    m->elementwise = task_elementwise_best();
    m->images = task_add_work(t, batch * (size_t)data->n_pixels * sizeof(real));
    m->labels = task_add_work(t, batch * sizeof(int32_t));
    int in = data->n_pixels;
    for (int l = 0; l < m->n_layers; l++) {
        int last = l == spec->n_hidden;
        int out = last ? data->n_classes : spec->hidden[l];
        task_dense_plan(&m->layers[l], t, l, m->batch, in, out,
                        last ? TASK_LINEAR : (int)spec->activation);
        if (l > 0 && !last) t->tensors[2 * l].hidden_fan_in = in; /* w_l of w0 b0 w1 b1 ... */
        in = out;
    }
    m->softmax = task_add_work(t, ((size_t)data->n_classes + 2) * batch * sizeof(real));
}

/* "image_mlp fashion_mnist 8x8 64-32-10 relu, batch 64" */
static void set_name(task *t, const image_mlp *m, const task_spec *spec) {
    int n = snprintf(t->name, sizeof t->name, "image_mlp %.40s %dx%d %d", spec->dataset,
                     m->data->n_rows, m->data->n_cols, m->data->n_pixels);
    size_t room = sizeof t->name;
    for (int l = 0; l < m->n_layers && (size_t)n < room; l++) {
        n += snprintf(t->name + n, room - (size_t)n, "-%d", m->layers[l].out);
    }
    if ((size_t)n < room) {
        snprintf(t->name + n, room - (size_t)n, " %s, batch %d", activation_names[spec->activation],
                 m->batch);
    }
}

static int create(task *t, const task_spec *spec, lopt_error *err) {
    if (!check(spec, err)) return 0;
    image_mlp *m = calloc(1, sizeof *m);
    if (!m) return task_fail(err, LOPT_ENOMEM, "task %s: out of memory", spec->task);
    t->self = m;
    m->data = task_dataset_open(spec->dataset, spec->data_path, spec->image_size, err);
    if (!m->data) return 0;
    plan(t, m, spec);
    set_name(t, m, spec);
    t->loss_bound = (real)(1.5 * log(m->data->n_classes));
    return 1;
}

static void destroy(task *t) {
    image_mlp *m = t->self;
    if (m) task_dataset_close(m->data);
    free(m);
}

static void initial_params(const task *t, const real *tau, random_stream *r, real *params) {
    (void)tau;
    const image_mlp *m = t->self;
    for (int l = 0; l < m->n_layers; l++) task_dense_init(&m->layers[l], r, params);
}

static void draw_batch(const task *t, const real *tau, task_split split, random_stream *r,
                       void *work) {
    (void)tau;
    const image_mlp *m = t->self;
    int32_t *labels = (int32_t *)(void *)((char *)work + m->labels);
    task_dataset_draw(m->data, split, r, m->batch, task_at(work, m->images), labels);
}

/* Returns the logits [batch, classes]. */
static const real *forward(const image_mlp *m, const real *params, void *work) {
    const real *x = task_at(work, m->images);
    for (int l = 0; l < m->n_layers; l++) x = task_dense_forward(&m->layers[l], params, x, work);
    return x;
}

static void backward(const image_mlp *m, const real *params, void *work, real *grads) {
    for (int l = m->n_layers - 1; l > 0; l--) {
        const task_dense *below = &m->layers[l - 1];
        task_dense_backward(&m->layers[l], params, task_dense_y(below, work),
                            task_dense_dy(below, work), work, grads);
    }
    task_dense_backward(&m->layers[0], params, task_at(work, m->images), NULL, work, grads);
}

static const int32_t *batch_labels(const image_mlp *m, const void *work) {
    return (const int32_t *)(const void *)((const char *)work + m->labels);
}

static real loss(const task *t, const real *tau, void *work, const real *params, real *grads) {
    (void)tau;
    const image_mlp *m = t->self;
    const task_dense *last = &m->layers[m->n_layers - 1];
    const real *logits = forward(m, params, work);
    real value = m->elementwise->cross_entropy(m->batch, last->out, logits, batch_labels(m, work),
                                               task_at(work, m->softmax),
                                               grads ? task_dense_dy(last, work) : NULL);
    if (grads) backward(m, params, work, grads);
    return value;
}

static real normalise(const task *t, real value) {
    real bound = (real)t->loss_bound;
    if (isnan(value) || value > bound) return bound;
    return value < 0 ? 0 : value;
}

static real accuracy(const task *t, const real *tau, void *work, const real *params) {
    (void)tau;
    const image_mlp *m = t->self;
    const real *logits = forward(m, params, work);
    const int32_t *labels = batch_labels(m, work);
    int n_classes = m->data->n_classes, n_right = 0;
    for (int i = 0; i < m->batch; i++, logits += n_classes) {
        int best = 0;
        for (int c = 1; c < n_classes; c++) best = logits[c] > logits[best] ? c : best;
        n_right += best == labels[i];
    }
    return (real)n_right / (real)m->batch;
}

const task_kind task_kind_image_mlp = {
    .name = "image_mlp",
    .summary = "classification of images by a multi-layer perceptron of any widths",
    .source = "learned_optimization, Metz et al. 2022",
    .create = create,
    .destroy = destroy,
    .initial_params = initial_params,
    .draw_batch = draw_batch,
    .loss = loss,
    .normalise = normalise,
    .accuracy = accuracy,
};
