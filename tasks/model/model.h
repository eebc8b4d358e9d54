/* SPDX-License-Identifier: Apache-2.0
 *
 * model.h - a model written as its layers in order.
 *
 * A task's `create` describes its model once; the description yields the tensors of the task, the bytes of
 * work, loss and gradient. A new model needs no memory code:
 *
 *     task_model *m = task_model_create(t, &err);              tensors and work go to t
 *     int x = task_add_input(m, 2, (int64_t[]){batch, pixels});    a value: filled by the task's draw_batch
 *     for (int l = 0; l < n; l++) {
 *         x = task_add_dense(m, x, width, init);
 *         x = task_add_activation(m, x, TASK_RELU);
 *     }
 *     x = task_add_dense(m, x, classes, init);
 *     size_t labels = task_add_input_ids(m, batch);                a work offset: filled by draw_batch too
 *     task_add_cross_entropy(m, x, labels);                        the loss: the last layer, its value has rank 0
 *     if (!task_model_finish(m, &err)) return 0;               reports the first mistake of the description
 *
 *     task_model_sample(m, &rng, tau);                         what the description said is sampled
 *     task_model_init(m, tau, &rng, params);                   every layer's initial parameters, in order
 *     task_model_draw(m, tau, &rng, work);                     noise of a batch: dropout masks, normals of a VAE
 *     loss = task_model_loss(m, tau, work, params, grads);     grads NULL: the loss alone
 *
 * The task owns the model (t->model). A task_kind that leaves out sample, initial_params or loss gets those of
 * its model, and task_destroy frees it.
 *
 * Value    an array in `work` of up to 4 axes, row-major, the first one the examples of the batch: images
 *          [batch, rows, cols, channels], sequences [batch, time, features]. A layer that maps features
 *          (dense, norms) takes all but the last axis as rows. Every value but the inputs has a gradient of
 *          the same shape beside it; a value may be read by several layers (residuals), whose gradients add.
 * Layer    reads one or more values and writes one. It is a struct of its own that begins with task_layer,
 *          made in the model's memory by the function that its file offers to descriptions.
 *          A reshape is a value that shares another's memory. A value that nobody reads is a mistake.
 * Order    forward runs the layers as described, backward in reverse: nothing else is known of the graph.
 *          Where a layer's output is read by the next alone, its kind may take that one over (fuse): dense
 *          does so with an activation. Values have memory only after that.
 * Sampled  task_sample_uniform and task_sample_choice declare values of tau that differ from one sampled
 *          task to the next; a layer reads them as run->tau[offset] (task_add_sampled_activation, task_init).
 * Errors   description functions return -1 once something is wrong (a shape that does not fit, memory); they
 *          take -1 and pass it on, so that one check at task_model_finish is enough.
 * Source   layers and initialisations are Haiku's unless their header says otherwise. */
#ifndef TASK_MODEL_H
#define TASK_MODEL_H

#include "base/declare.h"

typedef struct task_model task_model;
typedef struct task_layer task_layer;

/* One evaluation: what the functions of layers are given. */
typedef struct task_run {
    const task_model *model;
    const real *tau, *params;
    void *work;
    real *grads; /* NULL: forward alone */
} task_run;

typedef struct task_layer_kind {
    const char *name; /* "dense", as `metatrain show task` prints it */
    /* NULL where there is nothing to do. */
    int (*fuse)(task_model *m, task_layer *l, const task_layer *next); /* 1: does next's work from now on */
    void (*init)(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params);
    void (*draw)(const task_layer *l, const task_run *run, lopt_rng_stream *r);
    void (*forward)(const task_layer *l, const task_run *run);
    /* From the gradient of its output to those of its inputs and tensors. Gradients of tensors are set, once;
     * that of input i is set, or added to where l->adds[i] (a later layer set it), or left out where
     * task_input_grad is NULL (an input of the model). */
    void (*backward)(const task_layer *l, const task_run *run);
} task_layer_kind;

enum { TASK_LAYER_INPUTS = 4, TASK_LAYER_TENSORS = 8 };

struct task_layer {
    const task_layer_kind *kind;
    int in[TASK_LAYER_INPUTS], n_in, out; /* values */
    int adds[TASK_LAYER_INPUTS];          /* filled by task_model_finish */
    int number;                           /* among the layers of its kind */
    size_t tensor[TASK_LAYER_TENSORS];    /* where its tensors lie in params and grads */
    int n_tensors;
    int64_t fan_in; /* of its first tensor, if muP counts that as a weight; else 0 */
    double flops;   /* of the matrix products of forward and backward, multiply-add = 2 */
};

typedef struct task_shape {
    int rank;
    int64_t dim[4];
    int64_t rows, cols; /* product of all but the last axis, and the last */
} task_shape;

/* ---- for layers ---------------------------------------------------------------------------------- */

/* A layer of `size` bytes (its struct) that reads in[n_in] and writes a value of the given shape. NULL where an
 * input is -1 or memory lacks. Then, in any order: */
void *task_add_layer(task_model *m, const task_layer_kind *kind, size_t size, int n_in, const int *in, int rank,
                     const int64_t *dim);
/* A tensor of the layer, named "NAME" followed by the layer's number. */
void task_add_layer_tensor(task_model *m, task_layer *l, const char *name, int rank, const int64_t *dim);
/* Work that forward keeps for backward, or draw for forward; an offset for task_work_at. */
size_t task_add_layer_work(task_model *m, size_t bytes);
/* The first one counts; returns -1. A layer begins with `if (x < 0) return -1`, then checks its shapes. */
int task_model_fail(task_model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

const task_shape *task_value_shape(const task_model *m, int value); /* value >= 0 */
int task_value_has_grad(const task_model *m, int value);            /* 0: it depends on no parameter */
real *task_value_data(const task_run *run, int value);
real *task_value_grad(const task_run *run, int value); /* NULL: none is wanted */

static inline const real *task_layer_tensor_at(const task_run *run, const task_layer *l, int i) {
    return run->params + l->tensor[i];
}

static inline real *task_layer_tensor_grad(const task_run *run, const task_layer *l, int i) {
    return run->grads + l->tensor[i];
}

static inline const real *task_layer_input(const task_run *run, const task_layer *l, int i) {
    return task_value_data(run, l->in[i]);
}

static inline real *task_layer_input_grad(const task_run *run, const task_layer *l, int i) {
    return task_value_grad(run, l->in[i]);
}

static inline real *task_layer_output(const task_run *run, const task_layer *l) {
    return task_value_data(run, l->out);
}

static inline real *task_layer_output_grad(const task_run *run, const task_layer *l) {
    return task_value_grad(run, l->out);
}

static inline int32_t *task_ids_at(void *work, size_t offset) {
    return (int32_t *)(void *)((char *)work + offset);
}

/* ---- for tasks ----------------------------------------------------------------------------------- */

task_model *task_model_create(task *t, lopt_error *err); /* NULL: no memory; description functions take it */
int task_model_finish(task_model *m, lopt_error *err);
void task_model_destroy(task_model *m); /* task_destroy does; NULL is fine */

int task_add_input(task_model *m, int rank, const int64_t *dim); /* of real values */
size_t task_add_input_ids(task_model *m, size_t n);              /* work offset of int32_t[n]: labels, tokens */
int task_add_reshape(task_model *m, int x, int rank, const int64_t *dim);

/* Numbers of tau; the offset of the first. */
size_t task_sample_uniform(task_model *m, double low, double high);
size_t task_sample_choice(task_model *m, int n); /* 0..n-1 */

void task_model_sample(const task_model *m, lopt_rng_stream *r, real *tau);
void task_model_init(const task_model *m, const real *tau, lopt_rng_stream *r, real *params);
void task_model_draw(const task_model *m, const real *tau, lopt_rng_stream *r, void *work);
void task_model_map_inputs(const task_model *m, void *work, void (*change)(size_t n, real *x)); /* real ones */
real task_model_loss(const task_model *m, const real *tau, void *work, const real *params, real *grads);
/* Any value after task_model_loss or task_model_forward, such as the logits. */
void task_model_forward(const task_model *m, const real *tau, void *work, const real *params);
const real *task_model_value(const task_model *m, int value, const void *work);

size_t task_model_n_layers(const task_model *m);
const task_layer *task_model_layer(const task_model *m, size_t i); /* for `metatrain show task` and tests */

#endif
