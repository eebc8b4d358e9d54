/* SPDX-License-Identifier: Apache-2.0
 *
 * test_sequence_both.c - layers of sequences: gradients, float against double, and in double against plain loops. */
#include "layer_check.h"

#include "layers/attention.h"
#include "layers/dense.h"
#include "layers/embed.h"
#include "layers/losses.h"
#include "layers/recurrent.h"
#include "layers/sum.h"
#include "layers/tokens.h"

enum { TIME = 5, BATCH = 3, IN = 4, WIDTH = 6, VOCAB = 7 };

static const int64_t time_batch_in[] = {TIME, BATCH, IN}, batch_time_in[] = {BATCH, TIME, IN};

static int embed(task_model *m) {
    size_t ids = layer_ids(m, TIME * BATCH, VOCAB, 0);
    return task_add_embedding(m, ids, 3, time_batch_in, VOCAB, (task_init){TASK_INIT_TRUNCATED, 1, 0});
}

/* Over data, over something with a gradient, and beside another reader whose gradient was there first. */
static int recurrent(task_model *m, task_cell cell) {
    int x = task_add_recurrent(m, layer_input(m, 3, time_batch_in), cell, WIDTH);
    int y = task_add_recurrent(m, layer_data(m, 3, time_batch_in), cell, WIDTH);
    int z = task_add_recurrent(m, x, cell, WIDTH);
    return task_add_sum(m, 3, (int[]){x, y, z});
}

static int lstm(task_model *m) {
    return recurrent(m, TASK_LSTM);
}

static int gru(task_model *m) {
    return recurrent(m, TASK_GRU);
}

static int vanilla_rnn(task_model *m) {
    return recurrent(m, TASK_VANILLA_RNN);
}

static int irnn(task_model *m) {
    return recurrent(m, TASK_IRNN);
}

/* q, k and v are one value each, or all the same. */
static int attention_of(task_model *m, int causal, int padded, double dropout) {
    size_t ids = padded ? layer_ids(m, BATCH * TIME, 3, 0) : 0;
    task_attention_shape a = {
        .heads = 2, .head_size = 3, .causal = causal, .pad_ids = padded ? &ids : NULL, .dropout = dropout};
    int x = task_add_attention(m, layer_input(m, 3, batch_time_in), &a);
    int y = layer_input(m, 3, (int64_t[]){BATCH, TIME, 6});
    int z = task_attention_core(m, y, y, y, &a);
    return task_add_sum(m, 2, (int[]){task_add_dense(m, x, 6, (task_init){0}), task_attention_core(m, z, y, z, &a)});
}

static int attention(task_model *m) {
    return attention_of(m, 0, 0, 0);
}

static int attention_causal(task_model *m) {
    return attention_of(m, 1, 0, 0);
}

static int attention_padded(task_model *m) {
    return attention_of(m, 1, 1, 0);
}

static int attention_dropped(task_model *m) {
    return attention_of(m, 0, 0, 0.4);
}

static int tokens(task_model *m) {
    int x = layer_input(m, 3, batch_time_in);
    int y = task_add_class_token(m, task_add_positions(m, x, (task_init){TASK_INIT_NORMAL, 1, 0}));
    int z = task_add_swap_tokens(m, y);
    int first[] = {task_add_first_token(m, y), task_add_first_token(m, task_add_positions(m, y, (task_init){0})),
                   task_add_first_token(m, task_add_class_token(m, y)),
                   task_add_dense(m, task_add_first_token(m, z), IN, (task_init){0})};
    int again = task_add_first_token(m, task_add_swap_tokens(m, task_add_dense(m, z, IN, (task_init){0})));
    return task_add_sum(m, 2, (int[]){task_add_sum(m, 4, first), again});
}

static const layer_case cases[] = {
    {"embed", embed},
    {"lstm", lstm},
    {"gru", gru},
    {"vanilla rnn", vanilla_rnn},
    {"irnn", irnn},
    {"attention", attention},
    {"attention, causal", attention_causal},
    {"attention, padded", attention_padded},
    {"attention, dropout", attention_dropped},
    {"tokens", tokens},
};

LAYER_CASES(cases)

#ifdef TASK_REAL_DOUBLE

/* ---- against plain loops ------------------------------------------------------------------------ */

static const real *tensor(const layer_bench *b, const real *params, const char *name) {
    for (size_t k = 0; k < b->t.n_tensors; k++) {
        if (strcmp(b->t.tensors[k].name, name) == 0) return params;
        params += lopt_tensor_size(&b->t.tensors[k]);
    }
    cr_assert(0, "no tensor %s", name);
    return NULL;
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* x W[., cols], column j, of n numbers. */
static double product(const real *x, const real *w, int n, int cols, int j) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * w[i * cols + j];
    return sum;
}

enum { N = WIDTH };

static void plain_lstm(const layer_bench *b, const real *params, const real *x, real *h, real *c) {
    const real *w = tensor(b, params, "lstm_w0"), *bias = tensor(b, params, "lstm_b0");
    double z[4 * N];
    for (int j = 0; j < 4 * N; j++)
        z[j] = product(x, w, IN, 4 * N, j) + product(h, w + IN * 4 * N, N, 4 * N, j) + bias[j];
    for (int j = 0; j < N; j++) {
        c[j] = sigmoid(z[2 * N + j] + 1) * c[j] + sigmoid(z[j]) * tanh(z[N + j]);
        h[j] = sigmoid(z[3 * N + j]) * tanh(c[j]);
    }
}

static void plain_gru(const layer_bench *b, const real *params, const real *x, real *h) {
    const real *wi = tensor(b, params, "gru_wi0"), *wh = tensor(b, params, "gru_wh0");
    const real *bias = tensor(b, params, "gru_b0");
    double z[N], rh[N], next[N];
    for (int j = 0; j < N; j++) {
        double r = sigmoid(product(x, wi, IN, 3 * N, N + j) + product(h, wh, N, 3 * N, N + j) + bias[N + j]);
        z[j] = sigmoid(product(x, wi, IN, 3 * N, j) + product(h, wh, N, 3 * N, j) + bias[j]);
        rh[j] = r * h[j];
    }
    for (int j = 0; j < N; j++) {
        int k = 2 * N + j;
        double a = tanh(product(x, wi, IN, 3 * N, k) + product(rh, wh, N, 3 * N, k) + bias[k]);
        next[j] = (1 - z[j]) * h[j] + z[j] * a;
    }
    memcpy(h, next, sizeof next);
}

static void plain_rnn(const layer_bench *b, const real *params, const real *x, real *h) {
    const real *wi = tensor(b, params, "rnn_wi0"), *wh = tensor(b, params, "rnn_wh0");
    const real *bi = tensor(b, params, "rnn_bi0"), *bh = tensor(b, params, "rnn_bh0");
    double next[N];
    for (int j = 0; j < N; j++) next[j] = fmax(0, product(x, wi, IN, N, j) + bi[j] + product(h, wh, N, N, j) + bh[j]);
    memcpy(h, next, sizeof next);
}

static void check_cell(task_cell cell, int (*describe)(task_model *m)) {
    layer_bench *b = layer_open(&(layer_case){"cell", describe});
    real *params = aligned(b->t.n_params * sizeof *params);
    layer_draw(b, 0, params);
    task_model_loss(b->t.model, b->tau, b->work, params, NULL);
    const task_layer *l = task_model_layer(b->t.model, 1);
    const real *x = task_model_value(b->t.model, l->in[0], b->work);
    const real *y = task_model_value(b->t.model, l->out, b->work);
    for (int i = 0; i < BATCH; i++) {
        double h[N], c[N];
        memcpy(h, tensor(b, params, "h00"), sizeof h);
        if (cell == TASK_LSTM) memcpy(c, tensor(b, params, "c00"), sizeof c);
        for (int t = 0; t < TIME; t++) {
            const real *now = x + (t * BATCH + i) * IN;
            if (cell == TASK_LSTM)
                plain_lstm(b, params, now, h, c);
            else if (cell == TASK_GRU)
                plain_gru(b, params, now, h);
            else
                plain_rnn(b, params, now, h);
            for (int j = 0; j < N; j++) {
                double found = y[(t * BATCH + i) * N + j];
                cr_assert(fabs(found - h[j]) < 1e-12, "cell %d, step %d: %g, plain %g", cell, t, found, h[j]);
            }
        }
    }
    layer_close(b), free(params);
}

Test(layers, cells_are_those_of_plain_loops) {
    check_cell(TASK_LSTM, lstm);
    check_cell(TASK_GRU, gru);
    check_cell(TASK_VANILLA_RNN, vanilla_rnn);
}

/* Row `query` of head h of one sequence: softmax over the keys it sees. */
static void plain_attention(const real *y, const int32_t *ids, int causal, int h, int query, double out[3]) {
    double sum = 0;
    memset(out, 0, 3 * sizeof *out);
    for (int key = 0; key < TIME; key++) {
        double logit = 0;
        if ((causal && key > query) || (ids && ids[key] == 0)) continue;
        for (int j = 0; j < 3; j++) logit += y[query * 6 + h * 3 + j] * y[key * 6 + h * 3 + j] / sqrt(3);
        sum += exp(logit);
        for (int j = 0; j < 3; j++) out[j] += exp(logit) * y[key * 6 + h * 3 + j];
    }
    for (int j = 0; j < 3; j++) out[j] /= sum;
}

static size_t core_ids;

static int core(task_model *m) {
    core_ids = layer_ids(m, BATCH * TIME, 3, 0);
    task_attention_shape a = {.heads = 2, .head_size = 3, .causal = 1, .pad_ids = &core_ids};
    int y = layer_input(m, 3, (int64_t[]){BATCH, TIME, 6});
    return task_attention_core(m, y, y, y, &a);
}

Test(layers, attention_is_that_of_a_plain_loop_with_its_masks) {
    layer_bench *b = layer_open(&(layer_case){"core", core});
    real *params = aligned(b->t.n_params * sizeof *params);
    int n_masked = 0;
    for (int draw = 0; draw < 5; draw++) {
        layer_draw(b, draw, params);
        int32_t *ids = task_ids_at(b->work, core_ids);
        for (int i = 0; i < BATCH; i++) ids[i * TIME] = 1; /* texts do not begin with a pad */
        for (int i = 0; i < BATCH * TIME; i++) n_masked += ids[i] == 0;
        task_model_loss(b->t.model, b->tau, b->work, params, NULL);
        const real *found = task_model_value(b->t.model, task_model_layer(b->t.model, 1)->out, b->work);
        for (int i = 0; i < BATCH * TIME * 2; i++) {
            int sequence = i / 2 / TIME, query = i / 2 % TIME, h = i % 2;
            double out[3];
            plain_attention(params + sequence * TIME * 6, ids + sequence * TIME, 1, h, query, out);
            for (int j = 0; j < 3; j++, found++)
                cr_assert(fabs(*found - out[j]) < 1e-12, "sequence %d, query %d, head %d: %g, plain %g", sequence,
                          query, h, *found, out[j]);
        }
    }
    cr_assert(n_masked > 10, "%d masked keys", n_masked);
    layer_close(b), free(params);
}

/* Uniform probabilities: what is left of them counts kept keys. */
enum { MANY = 40, DRAWS = 50, NUMBERS = 4 * MANY * 2 };

static int dropped(task_model *m) {
    task_attention_shape a = {.heads = 2, .head_size = 1, .dropout = 0.3};
    int64_t dim[] = {4, MANY, 2};
    int q = layer_data(m, 3, dim), v = layer_data(m, 3, dim);
    return task_add_dense(m, task_attention_core(m, q, q, v, &a), 1, (task_init){0});
}

Test(layers, attention_drops_its_share_anew_with_each_batch) {
    layer_bench *b = layer_open(&(layer_case){"dropped", dropped});
    real *params = aligned(b->t.n_params * sizeof *params);
    task_run run = {.model = b->t.model, .tau = b->tau, .work = b->work};
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){9, LOPT_RNG_TEST, 0, 0, 0});
    layer_draw(b, 0, params);
    memset(task_value_data(&run, layer_asked.data[0]), 0, sizeof(real) * 4 * MANY * 2);
    for (int i = 0; i < NUMBERS; i++) task_value_data(&run, layer_asked.data[1])[i] = 1;
    double sum = 0, squares = 0;
    real before[NUMBERS] = {0};
    for (int k = 0; k < DRAWS; k++) {
        task_model_draw(b->t.model, b->tau, &r, b->work);
        task_model_loss(b->t.model, b->tau, b->work, params, NULL);
        const real *y = task_model_value(b->t.model, task_model_layer(b->t.model, 0)->out, b->work);
        for (int i = 0; i < NUMBERS; i++) sum += y[i], squares += y[i] * y[i];
        cr_assert(memcmp(y, before, sizeof before) != 0, "the same mask again");
        memcpy(before, y, sizeof before);
    }
    double mean = sum / (DRAWS * NUMBERS), variance = squares / (DRAWS * NUMBERS) - mean * mean;
    double expected = 0.3 / 0.7 / MANY; /* of a mean of MANY Bernoulli numbers over 0.7 */
    cr_assert(fabs(mean - 1) < 5 * sqrt(expected / (DRAWS * NUMBERS)), "mean %g", mean);
    cr_assert(fabs(variance - expected) < 0.1 * expected, "variance %g, expected %g", variance, expected);
    layer_close(b), free(params);
}

/* ---- initial parameters ------------------------------------------------------------------------- */

static int wide_cells(task_model *m) {
    int x = layer_data(m, 3, (int64_t[]){1, 1, 100});
    int y[] = {task_add_recurrent(m, x, TASK_LSTM, 80), task_add_recurrent(m, x, TASK_GRU, 80),
               task_add_recurrent(m, x, TASK_VANILLA_RNN, 80), task_add_recurrent(m, x, TASK_IRNN, 80)};
    return task_add_sum(m, 4, y);
}

static void check_spread(const layer_bench *b, const real *params, const char *name, double std, double most) {
    const real *w = tensor(b, params, name);
    int64_t n = 0;
    for (size_t k = 0; k < b->t.n_tensors; k++)
        if (!strcmp(b->t.tensors[k].name, name)) n = lopt_tensor_size(&b->t.tensors[k]);
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) sum += w[i], squares += w[i] * w[i], largest = fmax(largest, fabs(w[i]));
    cr_assert(fabs(sum / n) <= 5 * std / sqrt(n), "%s: mean %g", name, sum / n);
    cr_assert(fabs(squares / n - std * std) <= 5 * std * std * sqrt(2.0 / n), "%s: deviation %g, expected %g", name,
              sqrt(squares / n), std);
    cr_assert(largest <= most * 1.000001 && largest >= most * 0.98, "%s: largest %g, bound %g", name, largest, most);
}

Test(layers, cells_start_as_said) {
    layer_bench *b = layer_open(&(layer_case){"wide cells", wide_cells});
    real *p = aligned(b->t.n_params * sizeof *p);
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){10, LOPT_RNG_TEST, 0, 0, 0});
    task_model_init(b->t.model, b->tau, &r, p);
    const double cut = 0.87962566;
    check_spread(b, p, "lstm_w0", cut / sqrt(180), 2 / sqrt(180));
    check_spread(b, p, "gru_wi0", 1 / sqrt(100), 2 / sqrt(100) / cut);
    check_spread(b, p, "gru_wh0", 1 / sqrt(80), 2 / sqrt(80) / cut);
    check_spread(b, p, "rnn_wi0", cut / sqrt(100), 2 / sqrt(100));
    check_spread(b, p, "rnn_wh0", cut / sqrt(80), 2 / sqrt(80));
    const real *identity = tensor(b, p, "rnn_wh1");
    for (int i = 0; i < 80 * 80; i++) cr_assert(identity[i] == (i / 80 == i % 80));
    static const char *const zero[] = {"lstm_b0", "h00", "c00", "gru_b0", "rnn_bi0", "rnn_bh0", "rnn_bi1"};
    for (size_t k = 0; k < sizeof zero / sizeof *zero; k++) check_spread(b, p, zero[k], 0, 0);
    layer_close(b), free(p);
}

#endif
