/* SPDX-License-Identifier: Apache-2.0
 *
 * attention.c - see attention.h. One head of one sequence at a time: its parts of q, k and v are copied together,
 * so that everything is small products in cache. Probabilities are kept as [keys, queries]: a lane is a query, and
 * p' v and p' q' are products with a transposed first matrix. */
#include "layers/attention.h"

#include <math.h>
#include <string.h>

#include "layers/dense.h"
#include "math/elementwise.h"
#include "math/gemm.h"

#define MASKED ((real)-1e30)

typedef struct attention {
    task_layer base;
    int batch, time, heads, size, causal;
    int has_pad_ids;
    size_t pad_ids, seed;
    real scale, keep; /* 1 / sqrt(size), 1 - dropout */
    size_t q, q_turned, k, v, dy, dy_turned, p, kept, dp, part, scratch;
    task_gemm square, from_p, turned_p; /* [time, time], and [time, size] by p or p' */
    const task_elementwise *elementwise;
} attention;

enum { Q, K, V };

/* ---- one head ---------------------------------------------------------------------------------- */

/* Where the values of sequence b and head h begin; a step is heads * size further. */
static size_t offset_of_head(const attention *a, int b, int h) {
    return ((size_t)b * (size_t)a->time * (size_t)a->heads + (size_t)h) * (size_t)a->size;
}

static void gather_heads(const attention *a, const real *restrict x, real scale, real *restrict out) {
    size_t step = (size_t)a->heads * (size_t)a->size;
    for (int t = 0; t < a->time; t++, x += step, out += a->size)
        for (int j = 0; j < a->size; j++) out[j] = scale * x[j];
}

static void scatter_heads(const attention *a, const real *restrict part, real scale, int added, real *restrict x) {
    size_t step = (size_t)a->heads * (size_t)a->size;
    for (int t = 0; t < a->time; t++, x += step, part += a->size)
        for (int j = 0; j < a->size; j++) x[j] = scale * part[j] + (added ? x[j] : 0);
}

/* p[keys, queries] of sequence b: what no query may see. */
static void mask_padded_keys(const attention *a, const task_run *run, int b, real value, real *p) {
    const int32_t *ids = a->has_pad_ids ? task_ids_at(run->work, a->pad_ids) + (size_t)b * (size_t)a->time : NULL;
    for (int key = 0; key < a->time; key++, p += a->time) {
        int n = ids && ids[key] == 0 ? a->time : a->causal ? key : 0;
        for (int query = 0; query < n; query++) p[query] = value;
    }
}

static uint64_t mix_dropout_bits(uint64_t x) { /* the finaliser of splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* out = x times 1 / keep or 0; may be x. */
static void drop_attention_weights(const attention *a, const task_run *run, int b, int h, const real *x, real *out) {
    uint64_t seed, n = (uint64_t)a->time * (uint64_t)a->time;
    memcpy(&seed, (const char *)run->work + a->seed, sizeof seed);
    seed += ((uint64_t)b * (uint64_t)a->heads + (uint64_t)h) * n;
    for (uint64_t i = 0; i < n; i++) {
        double u = (double)(mix_dropout_bits(seed + i) >> 11) * 0x1p-53;
        out[i] = u < (double)a->keep ? x[i] / a->keep : 0;
    }
}

/* k + bias of the keys of a head. */
static void add_key_bias(const attention *a, const real *restrict bias, real *restrict k) {
    for (int t = 0; t < a->time; t++, k += a->size)
        for (int j = 0; j < a->size; j++) k[j] += bias[j];
}

/* p and, with dropout, kept: [keys, queries]. Returns what multiplies v. */
static const real *probabilities_of_head(const attention *a, const task_run *run, int b, int h) {
    size_t at = offset_of_head(a, b, h);
    real *q = task_work_at(run->work, a->q), *q_turned = task_work_at(run->work, a->q_turned);
    real *k = task_work_at(run->work, a->k), *p = task_work_at(run->work, a->p),
         *kept = task_work_at(run->work, a->kept);
    gather_heads(a, task_layer_input(run, &a->base, Q) + at, a->scale, q);
    task_transpose_matrix(a->time, a->size, q, q_turned);
    gather_heads(a, task_layer_input(run, &a->base, K) + at, 1, k);
    add_key_bias(a, task_layer_tensor_at(run, &a->base, 0) + (size_t)h * (size_t)a->size, k);
    task_gemm_run(&a->square, k, q_turned, p);
    mask_padded_keys(a, run, b, MASKED, p);
    a->elementwise->softmax_columns(a->time, a->time, p, task_work_at(run->work, a->scratch));
    if (a->keep >= 1) return p;
    drop_attention_weights(a, run, b, h, p, kept);
    return kept;
}

/* ---- the layer --------------------------------------------------------------------------------- */

static void attention_forward(const task_layer *l, const task_run *run) {
    const attention *a = (const attention *)l;
    real *v = task_work_at(run->work, a->v), *part = task_work_at(run->work, a->part);
    for (int b = 0; b < a->batch; b++) {
        for (int h = 0; h < a->heads; h++) {
            size_t at = offset_of_head(a, b, h);
            gather_heads(a, task_layer_input(run, l, V) + at, 1, v);
            task_gemm_run(&a->turned_p, probabilities_of_head(a, run, b, h), v, part);
            scatter_heads(a, part, 1, 0, task_layer_output(run, l) + at);
        }
    }
}

static void add_projection_grad(const attention *a, const task_run *run, int input, size_t at, const real *part,
                                real scale) {
    real *dx = task_layer_input_grad(run, &a->base, input);
    if (dx) scatter_heads(a, part, scale, a->base.adds[input], dx + at);
}

/* dp = v dy';  ds = p (dp - sum of p dp);  dq = ds' k, dk = ds q, dv = p dy: in the order of the inputs, which may
 * be one value. */
static void attention_head_backward(const attention *a, const task_run *run, int b, int h) {
    size_t at = offset_of_head(a, b, h);
    real *v = task_work_at(run->work, a->v), *part = task_work_at(run->work, a->part),
         *dp = task_work_at(run->work, a->dp);
    real *dy = task_work_at(run->work, a->dy), *dy_turned = task_work_at(run->work, a->dy_turned);
    const real *kept = probabilities_of_head(a, run, b, h);
    gather_heads(a, task_layer_input(run, &a->base, V) + at, 1, v);
    gather_heads(a, task_layer_output_grad(run, &a->base) + at, 1, dy);
    task_transpose_matrix(a->time, a->size, dy, dy_turned);
    task_gemm_run(&a->square, v, dy_turned, dp);
    if (a->keep < 1) drop_attention_weights(a, run, b, h, dp, dp);
    a->elementwise->softmax_columns_grad(a->time, a->time, task_work_at(run->work, a->p), dp,
                                         task_work_at(run->work, a->scratch));
    mask_padded_keys(a, run, b, 0, dp);
    task_gemm_run(&a->turned_p, dp, task_work_at(run->work, a->k), part);
    add_projection_grad(a, run, Q, at, part, a->scale);
    task_gemm_run(&a->from_p, dp, task_work_at(run->work, a->q), part); /* q is scaled */
    add_projection_grad(a, run, K, at, part, 1);
    real *bias = task_layer_tensor_grad(run, &a->base, 0) + (size_t)h * (size_t)a->size;
    for (int t = 0; t < a->time; t++)
        for (int j = 0; j < a->size; j++) bias[j] += part[t * a->size + j];
    task_gemm_run(&a->from_p, kept, dy, part);
    add_projection_grad(a, run, V, at, part, 1);
}

static void attention_backward(const task_layer *l, const task_run *run) {
    const attention *a = (const attention *)l;
    memset(task_layer_tensor_grad(run, l, 0), 0, (size_t)a->heads * (size_t)a->size * sizeof(real));
    for (int b = 0; b < a->batch; b++)
        for (int h = 0; h < a->heads; h++) attention_head_backward(a, run, b, h);
}

static void attention_init(const task_layer *l, const real *tau, lopt_rng_stream *r, real *params) {
    const attention *a = (const attention *)l;
    (void)tau, (void)r;
    memset(params + l->tensor[0], 0, (size_t)a->heads * (size_t)a->size * sizeof *params);
}

static void attention_draw(const task_layer *l, const task_run *run, lopt_rng_stream *r) {
    const attention *a = (const attention *)l;
    uint64_t seed = a->keep < 1 ? lopt_rng_draw_u64(r) : 0;
    memcpy((char *)run->work + a->seed, &seed, sizeof seed);
}

static const task_layer_kind kind = {.name = "attention",
                                     .init = attention_init,
                                     .draw = attention_draw,
                                     .forward = attention_forward,
                                     .backward = attention_backward};

/* ---- the description --------------------------------------------------------------------------- */

static void plan_attention(task_model *m, attention *a) {
    size_t of_head = (size_t)a->time * (size_t)a->size * sizeof(real);
    size_t square = (size_t)a->time * (size_t)a->time * sizeof(real);
    size_t *const parts[] = {&a->q, &a->q_turned, &a->k, &a->v, &a->dy, &a->dy_turned, &a->part};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) *parts[i] = task_add_layer_work(m, of_head);
    a->p = task_add_layer_work(m, square);
    a->kept = a->keep < 1 ? task_add_layer_work(m, square) : a->p;
    a->dp = task_add_layer_work(m, square);
    a->scratch = task_add_layer_work(m, 2 * (size_t)a->time * sizeof(real));
    a->seed = task_add_layer_work(m, sizeof(uint64_t));
    a->square = task_gemm_plan(TASK_GEMM_NN, a->time, a->time, a->size);
    a->from_p = task_gemm_plan(TASK_GEMM_NN, a->time, a->size, a->time);
    a->turned_p = task_gemm_plan(TASK_GEMM_TN, a->time, a->size, a->time);
    a->elementwise = task_elementwise_best();
    a->base.flops = 7.0 * a->batch * a->heads * task_gemm_flops(&a->square); /* two forward, five backward */
}

int task_attention_core(task_model *m, int q, int k, int v, const task_attention_shape *shape) {
    if (q < 0 || k < 0 || v < 0) return -1;
    task_shape s = *task_value_shape(m, q);
    int fits = s.rank == 3 && s.cols == (int64_t)shape->heads * shape->head_size;
    for (int i = 0; i < 2; i++) {
        const task_shape *other = task_value_shape(m, i ? v : k);
        fits = fits && other->rank == 3 && memcmp(other->dim, s.dim, 3 * sizeof *s.dim) == 0;
    }
    if (!fits)
        return task_model_fail(m, "attention of %d heads of %d reads three of [batch, time, %d]", shape->heads,
                               shape->head_size, shape->heads * shape->head_size);
    attention *a = task_add_layer(m, &kind, sizeof *a, 3, (int[]){q, k, v}, 3, s.dim);
    if (!a) return -1;
    a->batch = (int)s.dim[0], a->time = (int)s.dim[1], a->heads = shape->heads, a->size = shape->head_size;
    a->causal = shape->causal;
    a->has_pad_ids = shape->pad_ids != NULL;
    if (a->has_pad_ids) a->pad_ids = *shape->pad_ids;
    a->scale = (real)(1 / sqrt(a->size));
    a->keep = (real)(1 - shape->dropout);
    task_add_layer_tensor(m, &a->base, "key_bias", 1, (int64_t[]){s.cols});
    plan_attention(m, a);
    return a->base.out;
}

int task_add_attention(task_model *m, int x, const task_attention_shape *a) {
    if (x < 0) return -1;
    int width = (int)task_value_shape(m, x)->cols, inner = a->heads * a->head_size;
    int q = task_add_dense(m, x, inner, a->init), k = task_dense_without_bias(m, x, inner, a->init);
    int v = task_add_dense(m, x, inner, a->init);
    return task_add_dense(m, task_attention_core(m, q, k, v, a), width, a->init);
}
