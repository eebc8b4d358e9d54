/* SPDX-License-Identifier: Apache-2.0
 *
 * dropout.c - see dropout.h. */
#include "layers/dropout.h"

typedef struct dropout {
    task_layer base;
    size_t n;
    double rate;
    size_t mask; /* work: 0 or 1 / (1 - rate) */
} dropout;

/* 32 random bits a number. */
static void dropout_draw(const task_layer *l, const task_run *run, lopt_rng_stream *r) {
    enum { CHUNK = 128 };
    const dropout *d = (const dropout *)l;
    uint64_t bits[CHUNK];
    real *mask = task_work_at(run->work, d->mask), kept = (real)(1 / (1 - d->rate));
    uint32_t limit = (uint32_t)(d->rate * 4294967296.0);
    for (size_t i = 0; i < d->n; i++) {
        size_t at = i % (2 * CHUNK), left = (d->n - i + 1) / 2;
        if (at == 0) lopt_rng_fill_u64(r, left < CHUNK ? left : CHUNK, bits);
        mask[i] = (uint32_t)(bits[at / 2] >> (at % 2 * 32)) < limit ? 0 : kept;
    }
}

static void dropout_forward(const task_layer *l, const task_run *run) {
    const dropout *d = (const dropout *)l;
    const real *restrict x = task_layer_input(run, l, 0), *restrict mask = task_work_at(run->work, d->mask);
    real *restrict y = task_layer_output(run, l);
    for (size_t i = 0; i < d->n; i++) y[i] = x[i] * mask[i];
}

static void dropout_backward(const task_layer *l, const task_run *run) {
    const dropout *d = (const dropout *)l;
    const real *restrict dy = task_layer_output_grad(run, l), *restrict mask = task_work_at(run->work, d->mask);
    real *restrict dx = task_layer_input_grad(run, l, 0);
    for (size_t i = 0; i < d->n; i++) dx[i] = (l->adds[0] ? dx[i] : 0) + dy[i] * mask[i];
}

static const task_layer_kind kind = {
    .name = "dropout", .draw = dropout_draw, .forward = dropout_forward, .backward = dropout_backward};

int task_add_dropout(task_model *m, int x, double rate) {
    if (x < 0 || rate == 0) return x;
    if (!(rate > 0 && rate < 1)) return task_model_fail(m, "a dropout of %g, allowed: 0 to below 1", rate);
    task_shape s = *task_value_shape(m, x);
    dropout *d = task_add_layer(m, &kind, sizeof *d, 1, &x, s.rank, s.dim);
    if (!d) return -1;
    d->n = (size_t)(s.rows * s.cols);
    d->rate = rate;
    d->mask = task_add_layer_work(m, d->n * sizeof(real));
    return d->base.out;
}
