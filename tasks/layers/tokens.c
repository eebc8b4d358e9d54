/* SPDX-License-Identifier: Apache-2.0
 *
 * tokens.c - see tokens.h. */
#include "layers/tokens.h"

#include <string.h>

#include "math/gemm.h"

typedef struct tokens {
    task_layer base;
    size_t batch, time, width; /* of the input */
    size_t turned;             /* task_add_swap_tokens: one sequence's gradient */
    task_init positions;
} tokens;

/* A layer of x[batch, time, width] that writes `rank` axes of dim. */
static tokens *add_token_layer(task_model *m, const task_layer_kind *kind, int x, int rank, const int64_t *dim) {
    tokens *l = task_add_layer(m, kind, sizeof *l, 1, &x, rank, dim);
    if (!l) return NULL;
    const task_shape *s = task_value_shape(m, x);
    l->batch = (size_t)s->dim[0], l->time = (size_t)s->dim[1], l->width = (size_t)s->dim[2];
    return l;
}

static int check_token_shape(task_model *m, int x, const char *what, task_shape *s) {
    if (x < 0) return 0;
    *s = *task_value_shape(m, x);
    return s->rank == 3 || task_model_fail(m, "%s reads [batch, time, width], not %d axes", what, s->rank) > 0;
}

static void add_token_row(size_t n, const real *restrict x, real *restrict y) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

/* ---- class token ------------------------------------------------------------------------------- */

static void class_token_init(const task_layer *base, const real *tau, lopt_rng_stream *r, real *params) {
    (void)tau, (void)r;
    memset(params + base->tensor[0], 0, ((const tokens *)base)->width * sizeof *params);
}

static void class_token_forward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    size_t n = l->time * l->width;
    const real *x = task_layer_input(run, base, 0);
    real *y = task_layer_output(run, base);
    for (size_t b = 0; b < l->batch; b++, x += n, y += n + l->width) {
        memcpy(y, task_layer_tensor_at(run, base, 0), l->width * sizeof *y);
        memcpy(y + l->width, x, n * sizeof *y);
    }
}

static void class_token_backward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    size_t n = l->time * l->width;
    const real *dy = task_layer_output_grad(run, base);
    real *dx = task_layer_input_grad(run, base, 0), *token = task_layer_tensor_grad(run, base, 0);
    memset(token, 0, l->width * sizeof *token);
    for (size_t b = 0; b < l->batch; b++, dy += n + l->width) {
        add_token_row(l->width, dy, token);
        if (dx && base->adds[0])
            add_token_row(n, dy + l->width, dx + b * n);
        else if (dx)
            memcpy(dx + b * n, dy + l->width, n * sizeof *dx);
    }
}

int task_add_class_token(task_model *m, int x) {
    static const task_layer_kind kind = {.name = "class token",
                                         .init = class_token_init,
                                         .forward = class_token_forward,
                                         .backward = class_token_backward};
    task_shape s;
    if (!check_token_shape(m, x, "a class token", &s)) return -1;
    tokens *l = add_token_layer(m, &kind, x, 3, (int64_t[]){s.dim[0], s.dim[1] + 1, s.dim[2]});
    if (!l) return -1;
    task_add_layer_tensor(m, &l->base, "class", 1, (int64_t[]){s.dim[2]});
    return l->base.out;
}

/* ---- positions --------------------------------------------------------------------------------- */

static void positions_init(const task_layer *base, const real *tau, lopt_rng_stream *r, real *params) {
    const tokens *l = (const tokens *)base;
    task_init_fill(&l->positions, tau, 2, (int64_t[]){(int64_t)l->time, (int64_t)l->width}, r,
                   params + base->tensor[0]);
}

static void positions_forward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    size_t n = l->time * l->width;
    memcpy(task_layer_output(run, base), task_layer_input(run, base, 0), l->batch * n * sizeof(real));
    for (size_t b = 0; b < l->batch; b++)
        add_token_row(n, task_layer_tensor_at(run, base, 0), task_layer_output(run, base) + b * n);
}

static void positions_backward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    size_t n = l->time * l->width;
    const real *dy = task_layer_output_grad(run, base);
    real *dx = task_layer_input_grad(run, base, 0), *table = task_layer_tensor_grad(run, base, 0);
    memset(table, 0, n * sizeof *table);
    for (size_t b = 0; b < l->batch; b++) add_token_row(n, dy + b * n, table);
    if (dx && base->adds[0])
        add_token_row(l->batch * n, dy, dx);
    else if (dx)
        memcpy(dx, dy, l->batch * n * sizeof *dx);
}

int task_add_positions(task_model *m, int x, task_init init) {
    static const task_layer_kind kind = {
        .name = "positions", .init = positions_init, .forward = positions_forward, .backward = positions_backward};
    task_shape s;
    if (!check_token_shape(m, x, "an embedding of positions", &s)) return -1;
    tokens *l = add_token_layer(m, &kind, x, 3, s.dim);
    if (!l) return -1;
    l->positions = init;
    task_add_layer_tensor(m, &l->base, "positions", 2, (int64_t[]){s.dim[1], s.dim[2]});
    return l->base.out;
}

/* ---- first token ------------------------------------------------------------------------------- */

static void first_token_forward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    const real *x = task_layer_input(run, base, 0);
    real *y = task_layer_output(run, base);
    for (size_t b = 0; b < l->batch; b++) memcpy(y + b * l->width, x + b * l->time * l->width, l->width * sizeof *y);
}

static void first_token_backward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    size_t n = l->time * l->width;
    const real *dy = task_layer_output_grad(run, base);
    real *dx = task_layer_input_grad(run, base, 0);
    if (!base->adds[0]) memset(dx, 0, l->batch * n * sizeof *dx);
    for (size_t b = 0; b < l->batch; b++) add_token_row(l->width, dy + b * l->width, dx + b * n);
}

int task_add_first_token(task_model *m, int x) {
    static const task_layer_kind kind = {
        .name = "first token", .forward = first_token_forward, .backward = first_token_backward};
    task_shape s;
    if (!check_token_shape(m, x, "the first token", &s)) return -1;
    tokens *l = add_token_layer(m, &kind, x, 2, (int64_t[]){s.dim[0], s.dim[2]});
    return l ? l->base.out : -1;
}

/* ---- swapped axes ------------------------------------------------------------------------------ */

static void swap_tokens_forward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    size_t n = l->time * l->width;
    for (size_t b = 0; b < l->batch; b++)
        task_transpose_matrix((int)l->time, (int)l->width, task_layer_input(run, base, 0) + b * n,
                              task_layer_output(run, base) + b * n);
}

static void swap_tokens_backward(const task_layer *base, const task_run *run) {
    const tokens *l = (const tokens *)base;
    size_t n = l->time * l->width;
    real *dx = task_layer_input_grad(run, base, 0), *turned = task_work_at(run->work, l->turned);
    const real *dy = task_layer_output_grad(run, base);
    for (size_t b = 0; b < l->batch; b++) {
        task_transpose_matrix((int)l->width, (int)l->time, dy + b * n, base->adds[0] ? turned : dx + b * n);
        if (base->adds[0]) add_token_row(n, turned, dx + b * n);
    }
}

int task_add_swap_tokens(task_model *m, int x) {
    static const task_layer_kind kind = {
        .name = "swap", .forward = swap_tokens_forward, .backward = swap_tokens_backward};
    task_shape s;
    if (!check_token_shape(m, x, "a swap of axes", &s)) return -1;
    tokens *l = add_token_layer(m, &kind, x, 3, (int64_t[]){s.dim[0], s.dim[2], s.dim[1]});
    if (!l) return -1;
    l->turned = task_add_layer_work(m, l->time * l->width * sizeof(real));
    return l->base.out;
}
