/* SPDX-License-Identifier: Apache-2.0
 *
 * recurrent.c - see recurrent.h. */
#include "layers/recurrent.h"

#include <string.h>

#include "layers/init.h"
#include "math/elementwise.h"
#include "math/gemm.h"

/* Columns of a cell that are made by the same products: x Wi + s Wh, where s is h or, for the last columns of
 * a GRU, r h. A GRU has two of them, the others one. */
typedef struct part {
    int cols;
    size_t z;      /* [time, batch, cols] */
    size_t states; /* [time, batch, width]: s of every step */
    size_t wi, wh; /* a GRU's columns of the weights, and their gradients */
    size_t wi_turned, wh_turned;
    task_gemm from_x, from_state, wi_grad, wh_grad, x_grad, x_grad_added, state_grad_added;
} part;

typedef struct recurrent {
    task_layer base;
    task_cell cell;
    int time, batch, in, width, n_parts;
    part parts[2];
    size_t c, dc; /* LSTM: [time + 1, batch, width], [batch, width] */
    size_t drh;   /* GRU: the gradient of r h */
    size_t dh0;   /* [batch, width] */
    size_t bias;  /* RNN: bi + bh */
    const task_elementwise *elementwise;
} recurrent;

enum { LSTM_W, LSTM_B, LSTM_H0, LSTM_C0 };
enum { GRU_WI, GRU_WH, GRU_B, GRU_H0 };
enum { RNN_WI, RNN_WH, RNN_BI, RNN_BH, RNN_H0 };

/* ---- products of one part ---------------------------------------------------------------------- */

static size_t count_step_numbers(const recurrent *l) {
    return (size_t)l->batch * (size_t)l->width;
}

static real *part_gates_at(const recurrent *l, const part *p, const task_run *run, int t) {
    return task_work_at(run->work, p->z) + (size_t)t * (size_t)l->batch * (size_t)p->cols;
}

static real *part_state_at(const recurrent *l, const part *p, const task_run *run, int t) {
    return task_work_at(run->work, p->states) + (size_t)t * count_step_numbers(l);
}

/* z of step t, which holds x Wi, plus s Wh. */
static void add_state_product(const recurrent *l, const part *p, const task_run *run, int t, const real *wh) {
    task_gemm_run(&p->from_state, part_state_at(l, p, run, t), wh, part_gates_at(l, p, run, t));
}

/* From the gradients that z holds by now; ds of each step has been done. */
static void finish_part_grads(const recurrent *l, const part *p, const task_run *run, const real *wi, real *wi_grad,
                              real *wh_grad, int adds) {
    const real *dz = task_work_at(run->work, p->z);
    real *dx = task_layer_input_grad(run, &l->base, 0), *turned = task_work_at(run->work, p->wi_turned);
    if (dx) {
        task_transpose_matrix(l->in, p->cols, wi, turned);
        task_gemm_run(adds ? &p->x_grad_added : &p->x_grad, dz, turned, dx);
    }
    task_gemm_run(&p->wi_grad, task_layer_input(run, &l->base, 0), dz, wi_grad); /* may be where `turned` was */
    task_gemm_run(&p->wh_grad, task_work_at(run->work, p->states), dz, wh_grad);
}

/* ---- states ------------------------------------------------------------------------------------ */

static void repeat_state_row(const recurrent *l, const real *row, real *out) {
    for (int i = 0; i < l->batch; i++) memcpy(out + (size_t)i * (size_t)l->width, row, (size_t)l->width * sizeof *row);
}

static void sum_state_columns(const recurrent *l, int rows, int cols, real *x, real *sums) {
    l->elementwise->activate_grad(TASK_LINEAR, rows, cols, x, x, x, sums);
}

/* h of step t: its place in the output, and the copy that step t + 1 reads. */
static real *hidden_state_at(const recurrent *l, const task_run *run, int t) {
    return task_layer_output(run, &l->base) + (size_t)t * count_step_numbers(l);
}

static void keep_hidden_state(const recurrent *l, const task_run *run, int t) {
    if (t + 1 < l->time)
        memcpy(part_state_at(l, &l->parts[0], run, t + 1), hidden_state_at(l, run, t),
               count_step_numbers(l) * sizeof(real));
}

static real *hidden_grad_at(const recurrent *l, const task_run *run, int t) {
    if (t < 0) return task_work_at(run->work, l->dh0);
    return task_layer_output_grad(run, &l->base) + (size_t)t * count_step_numbers(l);
}

/* ---- LSTM -------------------------------------------------------------------------------------- */

static real *cell_state_after(const recurrent *l, const task_run *run, int t) {
    return task_work_at(run->work, l->c) + (size_t)(t + 1) * count_step_numbers(l);
}

static const real *lstm_state_weights(const recurrent *l, const task_run *run) {
    return task_layer_tensor_at(run, &l->base, LSTM_W) + (size_t)l->in * 4 * (size_t)l->width;
}

static void lstm_forward(const task_layer *base, const task_run *run) {
    const recurrent *l = (const recurrent *)base;
    const part *p = &l->parts[0];
    task_gemm_run(&p->from_x, task_layer_input(run, base, 0), task_layer_tensor_at(run, base, LSTM_W),
                  part_gates_at(l, p, run, 0));
    repeat_state_row(l, task_layer_tensor_at(run, base, LSTM_H0), part_state_at(l, p, run, 0));
    repeat_state_row(l, task_layer_tensor_at(run, base, LSTM_C0), cell_state_after(l, run, -1));
    for (int t = 0; t < l->time; t++) {
        add_state_product(l, p, run, t, lstm_state_weights(l, run));
        l->elementwise->lstm(l->batch, l->width, task_layer_tensor_at(run, base, LSTM_B), part_gates_at(l, p, run, t),
                             cell_state_after(l, run, t - 1), cell_state_after(l, run, t), hidden_state_at(l, run, t));
        keep_hidden_state(l, run, t);
    }
}

static void lstm_backward(const task_layer *base, const task_run *run) {
    const recurrent *l = (const recurrent *)base;
    const part *p = &l->parts[0];
    real *dc = task_work_at(run->work, l->dc), *turned = task_work_at(run->work, p->wh_turned);
    real *dw = task_layer_tensor_grad(run, base, LSTM_W);
    task_transpose_matrix(l->width, p->cols, lstm_state_weights(l, run), turned);
    memset(dc, 0, count_step_numbers(l) * sizeof *dc);
    memset(hidden_grad_at(l, run, -1), 0, count_step_numbers(l) * sizeof *dc);
    for (int t = l->time - 1; t >= 0; t--) {
        real *z = part_gates_at(l, p, run, t);
        l->elementwise->lstm_grad(l->batch, l->width, z, cell_state_after(l, run, t - 1), cell_state_after(l, run, t),
                                  hidden_grad_at(l, run, t), dc);
        task_gemm_run(&p->state_grad_added, z, turned, hidden_grad_at(l, run, t - 1));
    }
    sum_state_columns(l, l->batch, l->width, dc, task_layer_tensor_grad(run, base, LSTM_C0));
    sum_state_columns(l, l->batch, l->width, hidden_grad_at(l, run, -1), task_layer_tensor_grad(run, base, LSTM_H0));
    sum_state_columns(l, l->time * l->batch, p->cols, part_gates_at(l, p, run, 0),
                      task_layer_tensor_grad(run, base, LSTM_B));
    finish_part_grads(l, p, run, task_layer_tensor_at(run, base, LSTM_W), dw, dw + (size_t)l->in * (size_t)p->cols,
                      base->adds[0]);
}

static void lstm_init(const task_layer *base, const real *tau, lopt_rng_stream *r, real *params) {
    const recurrent *l = (const recurrent *)base;
    int64_t dim[] = {l->in + l->width, 4 * l->width};
    task_init_fill(&(task_init){0}, tau, 2, dim, r, params + base->tensor[LSTM_W]);
    memset(params + base->tensor[LSTM_B], 0, 4 * (size_t)l->width * sizeof *params);
    memset(params + base->tensor[LSTM_H0], 0, (size_t)l->width * sizeof *params);
    memset(params + base->tensor[LSTM_C0], 0, (size_t)l->width * sizeof *params);
}

/* ---- GRU --------------------------------------------------------------------------------------- */

/* The first 2 width columns of w[rows, 3 width] and the others, apart or back together. */
static void split_weight_rows(int rows, int n, const real *w, real *first, real *rest) {
    for (size_t i = 0, cols = (size_t)n; i < (size_t)rows; i++, w += 3 * cols) {
        memcpy(first + i * 2 * cols, w, 2 * cols * sizeof *w);
        memcpy(rest + i * cols, w + 2 * cols, cols * sizeof *w);
    }
}

static void join_weight_rows(int rows, int n, const real *first, const real *rest, real *w) {
    for (size_t i = 0, cols = (size_t)n; i < (size_t)rows; i++, w += 3 * cols) {
        memcpy(w, first + i * 2 * cols, 2 * cols * sizeof *w);
        memcpy(w + 2 * cols, rest + i * cols, cols * sizeof *w);
    }
}

static void gru_forward(const task_layer *base, const task_run *run) {
    const recurrent *l = (const recurrent *)base;
    const part *gates = &l->parts[0], *last = &l->parts[1];
    const real *b = task_layer_tensor_at(run, base, GRU_B);
    real *work[2] = {task_work_at(run->work, gates->wh), task_work_at(run->work, last->wh)};
    split_weight_rows(l->width, l->width, task_layer_tensor_at(run, base, GRU_WH), work[0], work[1]);
    split_weight_rows(l->in, l->width, task_layer_tensor_at(run, base, GRU_WI), task_work_at(run->work, gates->wi),
                      task_work_at(run->work, last->wi));
    for (int k = 0; k < 2; k++)
        task_gemm_run(&l->parts[k].from_x, task_layer_input(run, base, 0), task_work_at(run->work, l->parts[k].wi),
                      part_gates_at(l, &l->parts[k], run, 0));
    repeat_state_row(l, task_layer_tensor_at(run, base, GRU_H0), part_state_at(l, gates, run, 0));
    for (int t = 0; t < l->time; t++) {
        const real *h_before = part_state_at(l, gates, run, t);
        real *zr = part_gates_at(l, gates, run, t), *a = part_gates_at(l, last, run, t);
        add_state_product(l, gates, run, t, work[0]);
        l->elementwise->gru_gates(l->batch, l->width, b, zr, h_before, part_state_at(l, last, run, t));
        add_state_product(l, last, run, t, work[1]);
        l->elementwise->gru(l->batch, l->width, b + 2 * l->width, zr, h_before, a, hidden_state_at(l, run, t));
        keep_hidden_state(l, run, t);
    }
}

static void gru_backward(const task_layer *base, const task_run *run) {
    const recurrent *l = (const recurrent *)base;
    const part *gates = &l->parts[0], *last = &l->parts[1];
    real *drh = task_work_at(run->work, l->drh);
    for (int k = 0; k < 2; k++) {
        const part *p = &l->parts[k];
        task_transpose_matrix(l->width, p->cols, task_work_at(run->work, p->wh), task_work_at(run->work, p->wh_turned));
    }
    memset(hidden_grad_at(l, run, -1), 0, count_step_numbers(l) * sizeof *drh);
    for (int t = l->time - 1; t >= 0; t--) {
        const real *h_before = part_state_at(l, gates, run, t);
        real *zr = part_gates_at(l, gates, run, t), *a = part_gates_at(l, last, run, t),
             *dh_before = hidden_grad_at(l, run, t - 1);
        l->elementwise->gru_grad(l->batch, l->width, zr, a, h_before, hidden_grad_at(l, run, t), dh_before);
        memset(drh, 0, count_step_numbers(l) * sizeof *drh);
        task_gemm_run(&last->state_grad_added, a, task_work_at(run->work, last->wh_turned), drh);
        l->elementwise->gru_gates_grad(l->batch, l->width, zr, h_before, drh, dh_before);
        task_gemm_run(&gates->state_grad_added, zr, task_work_at(run->work, gates->wh_turned), dh_before);
    }
    sum_state_columns(l, l->batch, l->width, hidden_grad_at(l, run, -1), task_layer_tensor_grad(run, base, GRU_H0));
    real *wi_grad[2], *wh_grad[2], *b_grad = task_layer_tensor_grad(run, base, GRU_B);
    for (int k = 0; k < 2; k++) { /* the places of weights that nobody needs any more take the gradients */
        const part *p = &l->parts[k];
        wi_grad[k] = task_work_at(run->work, p->wi_turned), wh_grad[k] = task_work_at(run->work, p->wh);
        sum_state_columns(l, l->time * l->batch, p->cols, part_gates_at(l, p, run, 0), b_grad + 2 * k * l->width);
        finish_part_grads(l, p, run, task_work_at(run->work, p->wi), wi_grad[k], wh_grad[k], k > 0 || base->adds[0]);
    }
    join_weight_rows(l->in, l->width, wi_grad[0], wi_grad[1], task_layer_tensor_grad(run, base, GRU_WI));
    join_weight_rows(l->width, l->width, wh_grad[0], wh_grad[1], task_layer_tensor_grad(run, base, GRU_WH));
}

static void gru_init(const task_layer *base, const real *tau, lopt_rng_stream *r, real *params) {
    const recurrent *l = (const recurrent *)base;
    const task_init variance = {TASK_INIT_VARIANCE, 1, 0};
    int64_t wi[] = {l->in, 3 * l->width}, wh[] = {l->width, 3 * l->width};
    task_init_fill(&variance, tau, 2, wi, r, params + base->tensor[GRU_WI]);
    task_init_fill(&variance, tau, 2, wh, r, params + base->tensor[GRU_WH]);
    memset(params + base->tensor[GRU_B], 0, 3 * (size_t)l->width * sizeof *params);
    memset(params + base->tensor[GRU_H0], 0, (size_t)l->width * sizeof *params);
}

/* ---- vanilla RNN and IRNN ---------------------------------------------------------------------- */

static void rnn_forward(const task_layer *base, const task_run *run) {
    const recurrent *l = (const recurrent *)base;
    const part *p = &l->parts[0];
    const real *bi = task_layer_tensor_at(run, base, RNN_BI), *bh = task_layer_tensor_at(run, base, RNN_BH);
    real *bias = task_work_at(run->work, l->bias);
    for (int j = 0; j < l->width; j++) bias[j] = bi[j] + bh[j];
    task_gemm_run(&p->from_x, task_layer_input(run, base, 0), task_layer_tensor_at(run, base, RNN_WI),
                  part_gates_at(l, p, run, 0));
    repeat_state_row(l, task_layer_tensor_at(run, base, RNN_H0), part_state_at(l, p, run, 0));
    for (int t = 0; t < l->time; t++) {
        real *z = part_gates_at(l, p, run, t);
        add_state_product(l, p, run, t, task_layer_tensor_at(run, base, RNN_WH));
        l->elementwise->activate(TASK_RELU, l->batch, l->width, bias, z, z);
        memcpy(hidden_state_at(l, run, t), z, count_step_numbers(l) * sizeof *z);
        keep_hidden_state(l, run, t);
    }
}

static void rnn_backward(const task_layer *base, const task_run *run) {
    const recurrent *l = (const recurrent *)base;
    const part *p = &l->parts[0];
    real *turned = task_work_at(run->work, p->wh_turned), *bi_grad = task_layer_tensor_grad(run, base, RNN_BI);
    task_transpose_matrix(l->width, p->cols, task_layer_tensor_at(run, base, RNN_WH), turned);
    memset(hidden_grad_at(l, run, -1), 0, count_step_numbers(l) * sizeof *turned);
    for (int t = l->time - 1; t >= 0; t--) {
        real *z = part_gates_at(l, p, run, t), *dh = hidden_grad_at(l, run, t);
        l->elementwise->activate_grad(TASK_RELU, l->batch, l->width, z, hidden_state_at(l, run, t), dh, bi_grad);
        memcpy(z, dh, count_step_numbers(l) * sizeof *z);
        task_gemm_run(&p->state_grad_added, z, turned, hidden_grad_at(l, run, t - 1));
    }
    sum_state_columns(l, l->batch, l->width, hidden_grad_at(l, run, -1), task_layer_tensor_grad(run, base, RNN_H0));
    sum_state_columns(l, l->time * l->batch, l->width, part_gates_at(l, p, run, 0), bi_grad);
    memcpy(task_layer_tensor_grad(run, base, RNN_BH), bi_grad, (size_t)l->width * sizeof *bi_grad);
    finish_part_grads(l, p, run, task_layer_tensor_at(run, base, RNN_WI), task_layer_tensor_grad(run, base, RNN_WI),
                      task_layer_tensor_grad(run, base, RNN_WH), base->adds[0]);
}

static void rnn_init(const task_layer *base, const real *tau, lopt_rng_stream *r, real *params) {
    const recurrent *l = (const recurrent *)base;
    const task_init recurrent_init = {l->cell == TASK_IRNN ? TASK_INIT_IDENTITY : TASK_INIT_DEFAULT, 0, 0};
    int64_t wi[] = {l->in, l->width}, wh[] = {l->width, l->width};
    task_init_fill(&(task_init){0}, tau, 2, wi, r, params + base->tensor[RNN_WI]);
    task_init_fill(&recurrent_init, tau, 2, wh, r, params + base->tensor[RNN_WH]);
    for (int k = RNN_BI; k <= RNN_H0; k++) memset(params + base->tensor[k], 0, (size_t)l->width * sizeof *params);
}

/* ---- the description --------------------------------------------------------------------------- */

static const task_layer_kind lstm_kind = {
    .name = "lstm", .init = lstm_init, .forward = lstm_forward, .backward = lstm_backward};
static const task_layer_kind gru_kind = {
    .name = "gru", .init = gru_init, .forward = gru_forward, .backward = gru_backward};
static const task_layer_kind rnn_kind = {
    .name = "rnn", .init = rnn_init, .forward = rnn_forward, .backward = rnn_backward};

static void add_cell_tensors(task_model *m, recurrent *l) {
    task_layer *base = &l->base;
    int64_t in = l->in, n = l->width;
    if (l->cell == TASK_LSTM) {
        task_add_layer_tensor(m, base, "lstm_w", 2, (int64_t[]){in + n, 4 * n});
        task_add_layer_tensor(m, base, "lstm_b", 1, (int64_t[]){4 * n});
    } else if (l->cell == TASK_GRU) {
        task_add_layer_tensor(m, base, "gru_wi", 2, (int64_t[]){in, 3 * n});
        task_add_layer_tensor(m, base, "gru_wh", 2, (int64_t[]){n, 3 * n});
        task_add_layer_tensor(m, base, "gru_b", 1, (int64_t[]){3 * n});
    } else {
        task_add_layer_tensor(m, base, "rnn_wi", 2, (int64_t[]){in, n});
        task_add_layer_tensor(m, base, "rnn_wh", 2, (int64_t[]){n, n});
        task_add_layer_tensor(m, base, "rnn_bi", 1, (int64_t[]){n});
        task_add_layer_tensor(m, base, "rnn_bh", 1, (int64_t[]){n});
    }
    task_add_layer_tensor(m, base, "h0", 1, (int64_t[]){n});
    if (l->cell == TASK_LSTM) task_add_layer_tensor(m, base, "c0", 1, (int64_t[]){n});
}

static size_t add_work_numbers(task_model *m, int64_t rows, int64_t cols) {
    return task_add_layer_work(m, (size_t)rows * (size_t)cols * sizeof(real));
}

static void plan_recurrent_part(task_model *m, recurrent *l, int cols) {
    part *p = &l->parts[l->n_parts++];
    int64_t rows = (int64_t)l->time * l->batch;
    int all = (int)rows;
    p->cols = cols;
    p->z = add_work_numbers(m, rows, cols);
    p->states = add_work_numbers(m, rows, l->width);
    if (l->cell == TASK_GRU) {
        p->wi = add_work_numbers(m, l->in, cols);
        p->wh = add_work_numbers(m, l->width, cols);
    }
    p->wi_turned = add_work_numbers(m, l->in, cols);
    p->wh_turned = add_work_numbers(m, l->width, cols);
    p->from_x = task_gemm_plan(TASK_GEMM_NN, all, cols, l->in);
    p->from_state = task_gemm_plan_added(TASK_GEMM_NN, l->batch, cols, l->width);
    p->wi_grad = task_gemm_plan(TASK_GEMM_TN, l->in, cols, all);
    p->wh_grad = task_gemm_plan(TASK_GEMM_TN, l->width, cols, all);
    p->x_grad = task_gemm_plan(TASK_GEMM_NN, all, l->in, cols);
    p->x_grad_added = task_gemm_plan_added(TASK_GEMM_NN, all, l->in, cols);
    p->state_grad_added = task_gemm_plan_added(TASK_GEMM_NN, l->batch, l->width, cols);
    int products_of_x = task_value_has_grad(m, l->base.in[0]) ? 3 : 2;
    l->base.flops += products_of_x * task_gemm_flops(&p->from_x) + 3 * l->time * task_gemm_flops(&p->from_state);
}

static void plan_recurrent_steps(task_model *m, recurrent *l) {
    l->elementwise = task_elementwise_best();
    l->dh0 = add_work_numbers(m, l->batch, l->width);
    if (l->cell == TASK_LSTM) {
        l->c = add_work_numbers(m, (int64_t)(l->time + 1) * l->batch, l->width);
        l->dc = add_work_numbers(m, l->batch, l->width);
        plan_recurrent_part(m, l, 4 * l->width);
    } else if (l->cell == TASK_GRU) {
        l->drh = add_work_numbers(m, l->batch, l->width);
        plan_recurrent_part(m, l, 2 * l->width);
        plan_recurrent_part(m, l, l->width);
    } else {
        l->bias = add_work_numbers(m, 1, l->width);
        plan_recurrent_part(m, l, l->width);
    }
}

int task_add_recurrent(task_model *m, int x, task_cell cell, int width) {
    if (x < 0) return -1;
    task_shape s = *task_value_shape(m, x);
    if (s.rank != 3) return task_model_fail(m, "a recurrent layer reads [time, batch, in], not %d axes", s.rank);
    const task_layer_kind *kind = cell == TASK_LSTM ? &lstm_kind : cell == TASK_GRU ? &gru_kind : &rnn_kind;
    recurrent *l = task_add_layer(m, kind, sizeof *l, 1, &x, 3, (int64_t[]){s.dim[0], s.dim[1], width});
    if (!l) return -1;
    l->cell = cell;
    l->time = (int)s.dim[0], l->batch = (int)s.dim[1], l->in = (int)s.dim[2], l->width = width;
    add_cell_tensors(m, l);
    plan_recurrent_steps(m, l);
    return l->base.out;
}
