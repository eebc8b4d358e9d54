/* SPDX-License-Identifier: Apache-2.0
 *
 * embed.c - see embed.h. */
#include "layers/embed.h"

#include <string.h>

typedef struct embed {
    task_layer base;
    size_t ids, rows, width, vocab;
    task_init table;
} embed;

static void embedding_init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    const embed *e = (const embed *)l;
    task_init_fill(&e->table, tau, 2, (int64_t[]){(int64_t)e->vocab, (int64_t)e->width}, r, params + l->tensor[0]);
}

static void embedding_forward(const task_layer *l, const task_run *run) {
    const embed *e = (const embed *)l;
    const int32_t *ids = task_ids_at(run->work, e->ids);
    const real *table = task_layer_tensor_at(run, l, 0);
    real *y = task_layer_output(run, l);
    for (size_t i = 0; i < e->rows; i++)
        memcpy(y + i * e->width, table + (size_t)ids[i] * e->width, e->width * sizeof *y);
}

static void embedding_backward(const task_layer *l, const task_run *run) {
    const embed *e = (const embed *)l;
    const int32_t *ids = task_ids_at(run->work, e->ids);
    real *table = task_layer_tensor_grad(run, l, 0);
    const real *restrict dy = task_layer_output_grad(run, l);
    memset(table, 0, e->vocab * e->width * sizeof *table);
    for (size_t i = 0; i < e->rows; i++, dy += e->width) {
        real *restrict row = table + (size_t)ids[i] * e->width;
        for (size_t j = 0; j < e->width; j++) row[j] += dy[j];
    }
}

static const task_layer_kind kind = {
    .name = "embed", .init = embedding_init, .forward = embedding_forward, .backward = embedding_backward};

int task_add_embedding(task_model *m, size_t ids, int rank, const int64_t *dim, int vocab, task_init table) {
    embed *e = task_add_layer(m, &kind, sizeof *e, 0, NULL, rank, dim);
    if (!e || e->base.out < 0) return -1;
    const task_shape *s = task_value_shape(m, e->base.out);
    e->ids = ids;
    e->rows = (size_t)s->rows, e->width = (size_t)s->cols, e->vocab = (size_t)vocab;
    e->table = table;
    task_add_layer_tensor(m, &e->base, "embed", 2, (int64_t[]){vocab, s->cols});
    return e->base.out;
}
