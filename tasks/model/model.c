/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c - see model.h. */
#include "model/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct value {
    task_shape shape;
    int root;      /* whose memory it shares: its own number unless it is a reshape */
    int from;      /* the layer that writes it; -1: an input */
    int has_grad;  /* depends on parameters */
    int n_readers; /* layers, of it and what shares its memory */
    size_t at, grad_at;
} value;

/* A number of tau: uniform in [low, low + range), or where n > 0 one of 0..n-1. */
typedef struct sampled {
    double low, range;
    int n;
} sampled;

struct task_model {
    task *t;
    value *values;
    task_layer **layers;
    sampled *sampled;
    size_t n_values, n_layers, n_sampled;
    lopt_error error; /* the first mistake of the description */
};

/* ---- errors and memory ------------------------------------------------------------------------- */

int task_model_fail(task_model *m, const char *format, ...) {
    if (!m || m->error.status != LOPT_OK) return -1;
    va_list args;
    va_start(args, format);
    int n = snprintf(m->error.text, sizeof m->error.text, "task %s: ", m->t->kind->name);
    vsnprintf(m->error.text + n, sizeof m->error.text - (size_t)n, format, args);
    va_end(args);
    m->error.status = LOPT_EARG;
    return -1;
}

static int fail_without_memory(task_model *m) {
    task_model_fail(m, "out of memory");
    m->error.status = LOPT_ENOMEM;
    return -1;
}

/* Families draw such sizes now and then: a status of its own. */
static int fail_with_wrong_size(task_model *m) {
    if (!m || m->error.status != LOPT_OK) return -1;
    task_model_fail(m, "a value of the model is empty or too large");
    m->error.status = LOPT_ESHAPE;
    return -1;
}

/* The array with room for one element more; NULL: none left, the array stays. */
static void *grow_by_one(task_model *m, void *array, size_t n, size_t size) {
    void *grown = realloc(array, (n + 1) * size);
    if (!grown) fail_without_memory(m);
    return grown;
}

task_model *task_model_create(task *t, lopt_error *err) {
    t->model = calloc(1, sizeof *t->model);
    if (!t->model) {
        task_set_error(err, LOPT_ENOMEM, "task %s: out of memory", t->kind->name);
        return NULL;
    }
    t->model->t = t;
    return t->model;
}

void task_model_destroy(task_model *m) {
    if (!m) return;
    for (size_t i = 0; i < m->n_layers; i++) free(m->layers[i]);
    free(m->layers);
    free(m->values);
    free(m->sampled);
    free(m);
}

/* ---- values ------------------------------------------------------------------------------------ */

static int64_t count_shape_numbers(const task_shape *s) {
    return s->rows * s->cols;
}

/* 0 if an axis is empty or the whole larger than 2^31 values, which is what products and ids count to. */
static int make_value_shape(int rank, const int64_t *dim, task_shape *s) {
    *s = (task_shape){.rank = rank, .rows = 1, .cols = 1};
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 1 || dim[i] > INT32_MAX || count_shape_numbers(s) > INT32_MAX / dim[i]) return 0;
        s->dim[i] = dim[i];
        s->rows *= s->cols;
        s->cols = dim[i];
    }
    return 1;
}

/* root -1: memory of its own. */
static int add_model_value(task_model *m, int rank, const int64_t *dim, int from, int root) {
    task_shape shape;
    if (!make_value_shape(rank, dim, &shape)) return fail_with_wrong_size(m);
    value *values = grow_by_one(m, m->values, m->n_values, sizeof *values);
    if (!values) return -1;
    m->values = values;
    int v = (int)m->n_values++;
    values[v] = (value){.shape = shape, .root = root < 0 ? v : root, .from = from};
    return v;
}

static value *root_of_value(const task_model *m, int v) {
    return &m->values[m->values[v].root];
}

int task_add_input(task_model *m, int rank, const int64_t *dim) {
    if (!m) return -1;
    return add_model_value(m, rank, dim, -1, -1);
}

size_t task_add_input_ids(task_model *m, size_t n) {
    return task_add_layer_work(m, n * sizeof(int32_t));
}

int task_add_reshape(task_model *m, int x, int rank, const int64_t *dim) {
    if (x < 0) return -1;
    int64_t before = count_shape_numbers(&m->values[x].shape);
    int v = add_model_value(m, rank, dim, m->values[x].from, m->values[x].root);
    if (v >= 0 && count_shape_numbers(&m->values[v].shape) != before)
        return task_model_fail(m, "a reshape of %lld values into %lld", (long long)before,
                               (long long)count_shape_numbers(&m->values[v].shape));
    return v;
}

const task_shape *task_value_shape(const task_model *m, int v) {
    return &m->values[v].shape;
}

int task_value_has_grad(const task_model *m, int v) {
    return root_of_value(m, v)->has_grad;
}

real *task_value_data(const task_run *run, int v) {
    return task_work_at(run->work, root_of_value(run->model, v)->at);
}

real *task_value_grad(const task_run *run, int v) {
    const value *root = root_of_value(run->model, v);
    return root->has_grad ? task_work_at(run->work, root->grad_at) : NULL;
}

const real *task_model_value(const task_model *m, int v, const void *work) {
    return (const real *)(const void *)((const char *)work + root_of_value(m, v)->at);
}

/* ---- layers ------------------------------------------------------------------------------------ */

static int read_layer_inputs(task_model *m, task_layer *l, int n_in, const int *in) {
    int has_grad = 0;
    l->n_in = n_in;
    for (int i = 0; i < n_in; i++) {
        if (m->values[in[i]].shape.rank == 0) return task_model_fail(m, "layer %s after the loss", l->kind->name);
        l->in[i] = in[i];
        root_of_value(m, in[i])->n_readers++;
        has_grad |= task_value_has_grad(m, in[i]);
    }
    if (l->out >= 0) m->values[l->out].has_grad = has_grad;
    return l->out;
}

void *task_add_layer(task_model *m, const task_layer_kind *kind, size_t size, int n_in, const int *in, int rank,
                     const int64_t *dim) {
    if (!m) return NULL;
    for (int i = 0; i < n_in; i++)
        if (in[i] < 0) return NULL;
    task_layer **layers = grow_by_one(m, m->layers, m->n_layers, sizeof *layers);
    if (!layers) return NULL;
    m->layers = layers;
    task_layer *l = calloc(1, size);
    if (!l) return fail_without_memory(m), NULL;
    for (size_t i = 0; i < m->n_layers; i++) l->number += layers[i]->kind == kind;
    l->kind = kind;
    l->out = add_model_value(m, rank, dim, (int)m->n_layers, -1);
    layers[m->n_layers++] = l;
    return read_layer_inputs(m, l, n_in, in) < 0 ? NULL : l;
}

void task_add_layer_tensor(task_model *m, task_layer *l, const char *name, int rank, const int64_t *dim) {
    char numbered[64];
    snprintf(numbered, sizeof numbered, "%s%d", name, l->number);
    l->tensor[l->n_tensors++] = task_add_tensor(m->t, numbered, rank, dim);
    m->values[l->out].has_grad = 1;
}

size_t task_add_layer_work(task_model *m, size_t bytes) {
    return m ? task_add_work(m->t, bytes) : 0;
}

/* ---- what is sampled --------------------------------------------------------------------------- */

static size_t add_sampled_number(task_model *m, sampled s) {
    sampled *more = m ? grow_by_one(m, m->sampled, m->n_sampled, sizeof *more) : NULL;
    if (!more) return 0;
    m->sampled = more;
    more[m->n_sampled++] = s;
    return m->t->n_tau++;
}

size_t task_sample_uniform(task_model *m, double low, double high) {
    return add_sampled_number(m, (sampled){.low = low, .range = high - low});
}

size_t task_sample_choice(task_model *m, int n) {
    return add_sampled_number(m, (sampled){.n = n});
}

void task_model_sample(const task_model *m, lopt_rng_stream *r, real *tau) {
    for (size_t i = 0; i < m->n_sampled; i++) {
        const sampled *s = &m->sampled[i];
        if (s->n > 0)
            tau[i] = (real)lopt_rng_draw_below(r, (uint64_t)s->n);
        else
            tau[i] = (real)(s->low + lopt_rng_draw_uniform(r) * s->range);
    }
}

/* ---- finishing --------------------------------------------------------------------------------- */

/* Layers take over their successors, which go. */
static void fuse_model_layers(task_model *m) {
    size_t kept = 0;
    for (size_t i = 0; i < m->n_layers; i++) {
        task_layer *l = m->layers[i], *before = kept ? m->layers[kept - 1] : NULL;
        int follows = before && before->kind->fuse && l->n_in == 1 && l->in[0] == before->out &&
                      m->values[before->out].n_readers == 1;
        if (follows && before->kind->fuse(m, before, l)) {
            m->values[before->out].root = l->out;
            before->out = l->out;
            before->flops += l->flops;
            free(l);
        } else {
            m->layers[kept++] = l;
        }
    }
    m->n_layers = kept;
}

/* Backward runs in reverse: the last reader of a value sets its gradient, the others add. */
static int mark_added_gradients(task_model *m) {
    unsigned char *set = calloc(m->n_values, 1);
    if (!set) return fail_without_memory(m), 0;
    for (size_t i = m->n_layers; i-- > 0;) {
        task_layer *l = m->layers[i];
        for (int k = 0; k < l->n_in; k++) {
            int root = m->values[l->in[k]].root;
            l->adds[k] = set[root];
            set[root] = 1;
        }
    }
    free(set);
    return 1;
}

static void add_value_memory(task_model *m) {
    for (size_t v = 0; v < m->n_values; v++) {
        value *x = &m->values[v];
        size_t bytes = (size_t)count_shape_numbers(&x->shape) * sizeof(real);
        if (x->root != (int)v) continue;
        x->at = task_add_work(m->t, bytes);
        if (x->has_grad) x->grad_at = task_add_work(m->t, bytes);
    }
}

/* muP: weights neither of whose sides is an end of the model. */
static void mark_hidden_weights(task_model *m, const task_layer *loss) {
    for (size_t i = 0, k = 0; i < m->n_layers; i++) {
        const task_layer *l = m->layers[i];
        int last = m->values[l->out].root == m->values[loss->in[0]].root;
        if (l->fan_in > 0 && !last && task_value_has_grad(m, l->in[0])) m->t->tensors[k].hidden_fan_in = l->fan_in;
        k += (size_t)l->n_tensors;
    }
}

static int check_model_ends(task_model *m) {
    for (size_t i = 0; i < m->n_layers; i++) {
        const task_layer *l = m->layers[i];
        if (i + 1 < m->n_layers && m->values[l->out].n_readers == 0)
            return task_model_fail(m, "layer %s %d: nothing reads its output", l->kind->name, l->number);
    }
    if (m->n_layers == 0 || m->values[m->layers[m->n_layers - 1]->out].shape.rank != 0)
        return task_model_fail(m, "the last layer of the model is no loss");
    return 1;
}

int task_model_finish(task_model *m, lopt_error *err) {
    if (!m) return 0; /* task_model_create has said why */
    if (!m->t->tensors && m->t->n_tensors > 0) fail_without_memory(m);
    if (m->error.status == LOPT_OK && check_model_ends(m) > 0) {
        fuse_model_layers(m);
        if (mark_added_gradients(m)) {
            add_value_memory(m);
            mark_hidden_weights(m, m->layers[m->n_layers - 1]);
            for (size_t i = 0; i < m->n_layers; i++) m->t->flops_per_step += m->layers[i]->flops;
        }
    }
    if (m->error.status == LOPT_OK) return 1;
    return task_set_error(err, m->error.status, "%s", m->error.text);
}

/* ---- running ----------------------------------------------------------------------------------- */

void task_model_init(const task_model *m, const real *tau, lopt_rng_stream *r, real *params) {
    for (size_t i = 0; i < m->n_layers; i++) {
        const task_layer *l = m->layers[i];
        if (l->kind->init) l->kind->init(l, tau, r, params);
    }
}

void task_model_draw(const task_model *m, const real *tau, lopt_rng_stream *r, void *work) {
    task_run run = {.model = m, .tau = tau, .work = work};
    for (size_t i = 0; i < m->n_layers; i++) {
        const task_layer *l = m->layers[i];
        if (l->kind->draw) l->kind->draw(l, &run, r);
    }
}

void task_model_map_inputs(const task_model *m, void *work, void (*change)(size_t n, real *x)) {
    for (size_t v = 0; v < m->n_values; v++) {
        const value *x = &m->values[v];
        if (x->from < 0 && x->root == (int)v) change((size_t)count_shape_numbers(&x->shape), task_work_at(work, x->at));
    }
}

static void run_forward_layers(const task_run *run) {
    for (size_t i = 0; i < run->model->n_layers; i++) {
        const task_layer *l = run->model->layers[i];
        if (l->kind->forward) l->kind->forward(l, run);
    }
}

void task_model_forward(const task_model *m, const real *tau, void *work, const real *params) {
    run_forward_layers(&(task_run){m, tau, params, work, NULL});
}

real task_model_loss(const task_model *m, const real *tau, void *work, const real *params, real *grads) {
    task_run run = {m, tau, params, work, grads};
    run_forward_layers(&run);
    int loss = m->layers[m->n_layers - 1]->out;
    if (!grads) return *task_value_data(&run, loss);
    for (size_t i = m->n_layers; i-- > 0;) {
        const task_layer *l = m->layers[i];
        if (l->kind->backward && m->values[l->out].has_grad) l->kind->backward(l, &run);
    }
    return *task_value_data(&run, loss);
}

size_t task_model_n_layers(const task_model *m) {
    return m->n_layers;
}

const task_layer *task_model_layer(const task_model *m, size_t i) {
    return m->layers[i];
}
