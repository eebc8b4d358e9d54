/* SPDX-License-Identifier: Apache-2.0
 *
 * test_conv.c - convolution and pooling against plain loops: values, and gradients of input and weights. Sizes that
 * need padding on one side only, that leave pixels out, and that take more than one chunk of patches.
 * test_conv_double.c is this file with real = double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layers/conv.h"
#include "layers/dense.h"
#include "layers/losses.h"
#include "layers/pool.h"

#define TOLERANCE (sizeof(real) == 4 ? 2e-5 : 1e-13)

typedef struct sizes {
    int batch, rows, cols, in, out, size, stride;
    task_padding padding;
} sizes;

static const sizes table[] = {
    {2, 5, 5, 3, 4, 3, 1, TASK_SAME},    {2, 5, 7, 3, 4, 3, 2, TASK_SAME},   {1, 8, 8, 2, 5, 3, 2, TASK_SAME},
    {3, 6, 4, 1, 2, 2, 1, TASK_SAME},    {1, 7, 9, 2, 3, 4, 3, TASK_SAME},   {2, 4, 4, 5, 3, 1, 1, TASK_SAME},
    {2, 5, 4, 5, 3, 1, 2, TASK_SAME},    {2, 1, 1, 3, 2, 3, 1, TASK_SAME},   {1, 3, 3, 2, 2, 7, 2, TASK_SAME},
    {2, 7, 8, 3, 4, 3, 2, TASK_VALID},   {1, 5, 5, 1, 6, 5, 1, TASK_VALID},  {2, 9, 6, 2, 3, 2, 3, TASK_VALID},
    {2, 16, 16, 40, 9, 3, 1, TASK_SAME}, {1, 30, 40, 64, 8, 1, 1, TASK_SAME}};
enum { N_SIZES = sizeof table / sizeof *table };

/* ---- a model of one layer, between something that wants a gradient and a loss --------------------- */

typedef enum layer { CONV, CONV_WITHOUT_BIAS, MAX_POOL, AVERAGE_POOL, GLOBAL_AVERAGE, N_LAYERS } layer;

static const char *const names[] = {"conv", "conv without bias", "max pool", "average pool", "global average"};

typedef struct setup {
    task t;
    int x, y;
    real *params, *grads;
    void *work;
    task_run run;
} setup;

static const task_kind anything = {.name = "test"};

static void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, bytes / 64 * 64 + 64);
    cr_assert(p != NULL);
    return memset(p, 0, bytes);
}

static int describe(task_model *m, layer which, const sizes *s, int x) {
    task_conv_shape shape = {s->out, s->size, s->stride, s->padding};
    switch (which) {
    case CONV:
        return task_add_conv(m, x, shape, (task_init){0});
    case CONV_WITHOUT_BIAS:
        return task_add_conv_without_bias(m, x, shape, (task_init){0});
    case MAX_POOL:
        return task_add_max_pool(m, x, s->size, s->stride, s->padding);
    case AVERAGE_POOL:
        return task_average_pool(m, x, s->size, s->stride, s->padding);
    default:
        return task_add_global_average(m, x);
    }
}

static void fill(real *a, size_t n, lopt_rng_stream *r) {
    for (size_t i = 0; i < n; i++) a[i] = (real)lopt_rng_draw_normal(r);
}

/* input -> 1x1 matrix -> x -> layer -> y -> cross-entropy of each image. */
static void start(setup *s, layer which, const sizes *z) {
    lopt_error err;
    lopt_rng_stream r;
    *s = (setup){.t = {.kind = &anything}};
    task_model *m = task_model_create(&s->t, &err);
    int input = task_add_input(m, 4, (int64_t[]){z->batch, z->rows, z->cols, 2});
    s->x = task_dense_without_bias(m, input, z->in, (task_init){0});
    s->y = describe(m, which, z, s->x);
    cr_assert(s->y >= 0, "%s", names[which]);
    const task_shape *y = task_value_shape(m, s->y);
    int64_t n = y->rows * y->cols / z->batch;
    int flat = task_add_reshape(m, s->y, 2, (int64_t[]){z->batch, n});
    size_t labels = task_add_input_ids(m, (size_t)z->batch);
    task_add_cross_entropy(m, flat, labels);
    cr_assert(task_model_finish(m, &err), "%s: %s", names[which], err.text);
    s->params = aligned(s->t.n_params * sizeof(real));
    s->grads = aligned(s->t.n_params * sizeof(real));
    s->work = aligned(s->t.work_bytes);
    s->run = (task_run){m, NULL, s->params, s->work, s->grads};
    lopt_rng_open_stream(&r, (lopt_rng_address){5, LOPT_RNG_TEST, (uint64_t)which, 0, 0});
    fill(s->params, s->t.n_params, &r);
    fill(task_value_data(&s->run, input), (size_t)(z->batch * z->rows * z->cols * 2), &r);
    for (int i = 0; i < z->batch; i++) task_ids_at(s->work, labels)[i] = (int32_t)(i % n);
    task_model_loss(m, NULL, s->work, s->params, s->grads);
}

static void stop(setup *s) {
    task_model_destroy(s->t.model);
    free(s->t.tensors), free(s->params), free(s->grads), free(s->work);
}

/* ---- plain loops --------------------------------------------------------------------------------- */

/* Pixel (i, j) of the window at place (oy, ox) of image b; -1: outside. */
static int64_t pixel(const sizes *s, int b, int above, int left, int oy, int ox, int i, int j) {
    int row = oy * s->stride - above + i, col = ox * s->stride - left + j;
    if (row < 0 || row >= s->rows || col < 0 || col >= s->cols) return -1;
    return ((int64_t)b * s->rows + row) * s->cols + col;
}

/* Of zeros that make n pixels ceil(n / stride) windows, half, rounded down, come first. */
static int before(const sizes *s, int n) {
    int out = (n + s->stride - 1) / s->stride, all = (out - 1) * s->stride + s->size - n;
    return s->padding == TASK_SAME && all > 0 ? all / 2 : 0;
}

static int n_out(const sizes *s, int n) {
    return s->padding == TASK_SAME ? (int)ceil((double)n / s->stride) : (n - s->size + s->stride) / s->stride;
}

typedef struct wanted {
    double *y, *dx, *dw, *db;
    size_t n_y, n_x, n_w, n_b;
} wanted;

/* Adds what one window of a convolution gives. */
static void conv_window(const sizes *s, const setup *a, const wanted *w, const real *weights, int64_t at, int64_t o,
                        int tap) {
    const real *x = task_value_data(&a->run, a->x) + at * s->in, *dy = task_value_grad(&a->run, a->y) + o * s->out;
    for (int c = 0; c < s->in; c++)
        for (int k = 0; k < s->out; k++) {
            int i = (tap * s->in + c) * s->out + k;
            w->y[o * s->out + k] += (double)x[c] * (double)weights[i];
            w->dw[i] += (double)x[c] * (double)dy[k];
            w->dx[at * s->in + c] += (double)weights[i] * (double)dy[k];
        }
}

static void pool_window(const sizes *s, const setup *a, const wanted *w, const int64_t *inside, int n, int64_t o,
                        int average) {
    const real *x = task_value_data(&a->run, a->x), *dy = task_value_grad(&a->run, a->y);
    for (int c = 0; c < s->in; c++) {
        int largest = 0;
        for (int k = 1; k < n; k++)
            if (x[inside[k] * s->in + c] > x[inside[largest] * s->in + c]) largest = k;
        for (int k = 0; k < n; k++) {
            double share = average ? 1.0 / n : k == largest;
            w->y[o * s->in + c] += share * (double)x[inside[k] * s->in + c];
            w->dx[inside[k] * s->in + c] += share * (double)dy[o * s->in + c];
        }
    }
}

static void plain(layer which, const sizes *s, const setup *a, const wanted *w) {
    int oh = n_out(s, s->rows), ow = n_out(s, s->cols), above = before(s, s->rows), left = before(s, s->cols);
    const real *weights = a->params + 2 * s->in, *bias = weights + w->n_w;
    int64_t *inside = malloc((size_t)(s->size * s->size) * sizeof *inside);
    for (int64_t o = 0; o < (int64_t)s->batch * oh * ow; o++) {
        int n = 0, b = (int)(o / (oh * ow)), oy = (int)(o / ow % oh), ox = (int)(o % ow);
        for (int tap = 0; tap < s->size * s->size; tap++) {
            int64_t at = pixel(s, b, above, left, oy, ox, tap / s->size, tap % s->size);
            if (at < 0) continue;
            if (which <= CONV_WITHOUT_BIAS) conv_window(s, a, w, weights, at, o, tap);
            inside[n++] = at;
        }
        if (which > CONV_WITHOUT_BIAS) pool_window(s, a, w, inside, n, o, which != MAX_POOL);
        for (int k = 0; which == CONV && k < s->out; k++) {
            w->y[o * s->out + k] += (double)bias[k];
            w->db[k] += (double)task_value_grad(&a->run, a->y)[o * s->out + k];
        }
    }
    free(inside);
}

/* ---- comparison ------------------------------------------------------------------------------------ */

static void compare(const char *what, layer which, int row, const real *found, const double *expected, size_t n) {
    double size = 0;
    for (size_t i = 0; i < n; i++) size = fmax(size, fabs(expected[i]));
    for (size_t i = 0; i < n; i++)
        cr_assert(fabs((double)found[i] - expected[i]) <= TOLERANCE * size, "%s, line %d, %s[%zu]: %.9g, right %.9g",
                  names[which], row, what, i, (double)found[i], expected[i]);
}

static void check(layer which, int row) {
    sizes s = table[row];
    setup a;
    start(&a, which, &s);
    const task_shape *y = task_value_shape(a.run.model, a.y);
    int conv = which <= CONV_WITHOUT_BIAS;
    if (which == GLOBAL_AVERAGE) { /* one window that sees everything */
        s.size = s.stride = s.rows > s.cols ? s.rows : s.cols;
        s.padding = TASK_SAME;
    } else {
        cr_assert(y->dim[1] == n_out(&s, s.rows) && y->dim[2] == n_out(&s, s.cols), "line %d", row);
    }
    wanted w = {.n_y = (size_t)(y->rows * y->cols),
                .n_x = (size_t)(s.batch * s.rows * s.cols * s.in),
                .n_w = conv ? (size_t)(s.size * s.size * s.in * s.out) : 0,
                .n_b = which == CONV ? (size_t)s.out : 0};
    w.y = calloc(w.n_y + w.n_x + w.n_w + w.n_b, sizeof *w.y);
    w.dx = w.y + w.n_y, w.dw = w.dx + w.n_x, w.db = w.dw + w.n_w;
    cr_assert(a.t.n_params == 2 * (size_t)s.in + w.n_w + w.n_b, "%s: %zu parameters", names[which], a.t.n_params);
    plain(which, &s, &a, &w);
    const real *dw = a.grads + 2 * s.in;
    compare("y", which, row, task_value_data(&a.run, a.y), w.y, w.n_y);
    compare("dx", which, row, task_value_grad(&a.run, a.x), w.dx, w.n_x);
    compare("dw", which, row, dw, w.dw, w.n_w);
    compare("db", which, row, dw + w.n_w, w.db, w.n_b);
    free(w.y);
    stop(&a);
}

Test(conv, plain_loops) {
    for (int which = 0; which < N_LAYERS; which++)
        for (int row = 0; row < N_SIZES; row++) check((layer)which, row);
}

/* A NaN is no smaller than anything. */
Test(conv, nan_is_largest) {
    setup a;
    sizes s = {1, 4, 4, 1, 1, 2, 2, TASK_SAME};
    start(&a, MAX_POOL, &s);
    a.params[0] = a.params[1] = 0;
    real *input = task_value_data(&a.run, 0);
    input[0] = (real)NAN;
    task_model_forward(a.run.model, NULL, a.work, a.params);
    const real *y = task_value_data(&a.run, a.y);
    cr_assert(isnan(y[0]) && y[1] == 0 && y[2] == 0 && y[3] == 0);
    stop(&a);
}

/* Weights: a normal of deviation 1/sqrt(fan in) cut at two deviations; biases 0. */
Test(conv, starts) {
    sizes s = {1, 3, 3, 40, 60, 3, 1, TASK_SAME};
    setup a;
    start(&a, CONV, &s);
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){9, LOPT_RNG_TEST, 0, 0, 0});
    task_model_init(a.run.model, NULL, &r, a.params);
    const real *w = a.params + 2 * s.in;
    int n = 9 * s.in * s.out, beyond = 0;
    double sum = 0, squares = 0, largest = 0;
    for (int i = 0; i < n; i++) {
        double z = (double)w[i] * sqrt(9 * s.in);
        sum += z, squares += z * z;
        largest = fmax(largest, fabs(z));
        beyond += fabs(z) > 1.5;
    }
    double kept = erf(sqrt(2)), expected = (kept - erf(1.5 / sqrt(2))) / kept; /* of a normal cut at 2 */
    cr_assert(fabs(sum / n) < 4 * 0.88 / sqrt(n), "mean %g", sum / n);
    cr_assert(fabs(sqrt(squares / n) - 0.87962566) < 4 * 0.5 / sqrt(n), "deviation %g", sqrt(squares / n));
    cr_assert(largest <= 2.000001 && largest > 1.99, "largest %g", largest);
    cr_assert(fabs((double)beyond / n - expected) < 4 * sqrt(expected / n), "%d beyond 1.5, expected %g", beyond,
              expected * n);
    for (int k = 0; k < s.out; k++) cr_assert(w[n + k] == 0);
    stop(&a);
}

static void expect_mistake(int size, int stride, int rank, const char *sentence) {
    task t = {.kind = &anything};
    lopt_error err;
    task_model *m = task_model_create(&t, &err);
    int x = task_add_input(m, rank, (int64_t[]){2, 5, 4, 3});
    x = task_add_conv(m, x, (task_conv_shape){4, size, stride, TASK_VALID}, (task_init){0});
    cr_assert(x == -1 && task_add_global_average(m, x) == -1 && task_add_max_pool(m, x, 2, 2, TASK_SAME) == -1);
    cr_assert(!task_model_finish(m, &err) && strcmp(err.text, sentence) == 0, "%s", err.text);
    task_model_destroy(m);
    free(t.tensors);
}

Test(conv, mistakes) {
    expect_mistake(5, 1, 4, "task test: a window of 5x5 does not fit an image of 5x4");
    expect_mistake(3, 0, 4, "task test: a window of size 3 and stride 0, expected 1 or more");
    expect_mistake(3, 1, 3, "task test: a window over a value of 3 axes, expected 4");
}
