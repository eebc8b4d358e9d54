/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel table that this machine runs against the plain reference: updates of a tensor agree within
 * 1e-5 of the largest, for awkward shapes and networks, over many steps. Those that round to bf16 agree with
 * each other, and roughly with the reference. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bf16.h"
#include "lopt.h"

#define TOLERANCE 1e-5
#define SENTINEL 12345.0f

static const char *const tables[] = {"portable", "avx2", "avx512"};
enum { N_TABLES = sizeof tables / sizeof tables[0] };

static const char *const rounding[] = {"portable-bf16", "avx512-bf16"};

typedef struct shape {
    int rank;
    int64_t dim[4];
} shape;

static const shape shapes[] = {
    {0, {0}},
    {1, {1}},
    {1, {7}},
    {1, {16}},
    {1, {33}},
    {1, {1000}},
    {2, {1, 1}},
    {2, {7, 1}},
    {2, {1, 40}},
    {2, {5, 3}},
    {2, {16, 16}},
    {2, {17, 15}},
    {2, {15, 17}},
    {2, {32, 10}},
    {2, {10, 32}},
    {2, {64, 48}},
    {2, {300, 20}},
    {2, {20, 300}},
    {2, {3, 700}},
    {3, {4, 5, 6}},
    {3, {2, 17, 33}},
    {3, {40, 3, 20}},
    {4, {3, 3, 4, 8}},
    {4, {2, 3, 20, 18}},
    {4, {20, 18, 3, 3}},
    {4, {2, 20, 3, 18}},
    {4, {1, 1, 1, 1}},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static uint32_t lopt_rng_state;

static float uniform(void) /* [-1, 1), the same in every process */
{
    lopt_rng_state = lopt_rng_state * 1664525u + 1013904223u;
    return (float)(int32_t)lopt_rng_state * 0x1p-31f;
}

/* Products of four uniforms: magnitudes over a few decades. */
static void fill(float *x, size_t n, float scale) {
    for (size_t i = 0; i < n; i++) x[i] = scale * uniform() * uniform() * uniform() * uniform();
}

static lopt_optimizer *create(const lopt_setting *settings, size_t n) {
    lopt_error err = {0};
    lopt_optimizer *opt = lopt_create("small-fc", settings, n, &err);
    cr_assert(opt, "%s", err.text);
    size_t n_theta = lopt_n_theta(opt);
    float *theta = malloc(n_theta * sizeof *theta);
    lopt_init_theta(opt, 11, theta);
    for (size_t i = 0; i < n_theta; i++) /* biases and decay offsets too */
        theta[i] += 0.05f * uniform();
    lopt_set_theta(opt, theta);
    free(theta);
    return opt;
}

static int use(const char *table) {
    return lopt_kernels_use(table, NULL) == LOPT_OK;
}

/* Parameters with a sentinel on both sides, from an address that is a multiple of 4 only. */
typedef struct run {
    lopt_state *state;
    float *memory, *params, *updates;
} run;

static run start(const lopt_optimizer *opt, const lopt_tensor *t, const float *params) {
    size_t n = (size_t)lopt_tensor_size(t);
    lopt_error err = {0};
    run r = {.state = lopt_state_create(opt, t, 1, &err), .memory = malloc((2 * n + 4) * sizeof(float))};
    cr_assert(r.state, "%s", err.text);
    r.params = r.memory + 1;
    r.updates = r.params + n + 1;
    memcpy(r.params, params, n * sizeof *params);
    r.params[-1] = r.params[n] = r.updates[n] = SENTINEL;
    return r;
}

static void end(run *r) {
    lopt_state_destroy(r->state);
    free(r->memory);
}

/* Largest difference of updates over the largest update of the reference. */
static double difference(const run *fast, const run *reference, size_t n) {
    double most = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)fast->updates[i] - reference->updates[i]);
        most = d > most || isnan(d) ? d : most;
        largest = fmax(largest, fabs(reference->updates[i]));
    }
    return largest > 0 ? most / largest : most;
}

/* Runs every table beside the reference; worst[table] over the steps. */
static void compare(const lopt_optimizer *opt, shape s, int n_steps, float scale, double worst[N_TABLES]) {
    lopt_tensor t = lopt_tensor_make("x", s.rank, s.dim);
    size_t n = (size_t)lopt_tensor_size(&t);
    float *params = malloc(n * sizeof *params), *grads = malloc(n * sizeof *grads);
    lopt_rng_state = (uint32_t)n;
    fill(params, n, 1);
    run reference = start(opt, &t, params), fast[N_TABLES];
    for (int i = 0; i < N_TABLES; i++) {
        fast[i] = start(opt, &t, params);
        worst[i] = 0;
    }
    for (int step = 0; step < n_steps; step++) {
        fill(grads, n, step % 7 == 3 ? 0 : scale);
        cr_assert(use("reference"));
        lopt_step(opt, reference.state, reference.params, grads, 0, reference.updates);
        for (int i = 0; i < N_TABLES; i++) {
            if (!use(tables[i])) continue;
            lopt_step(opt, fast[i].state, fast[i].params, grads, 0, fast[i].updates);
            double d = difference(&fast[i], &reference, n);
            worst[i] = d > worst[i] || isnan(d) ? d : worst[i];
        }
    }
    for (int i = 0; i < N_TABLES; i++) {
        const run *r = &fast[i];
        cr_assert(r->params[-1] == SENTINEL && r->params[n] == SENTINEL && r->updates[n] == SENTINEL);
        end(&fast[i]);
    }
    end(&reference);
    free(params);
    free(grads);
}

static void check(const lopt_optimizer *opt, shape s, int n_steps, float scale, const char *what) {
    double worst[N_TABLES];
    compare(opt, s, n_steps, scale, worst);
    for (int i = 0; i < N_TABLES; i++)
        cr_assert(worst[i] <= TOLERANCE, "%s, %s, shape %d: %lld %lld %lld %lld: %g", tables[i], what, s.rank,
                  (long long)s.dim[0], (long long)s.dim[1], (long long)s.dim[2], (long long)s.dim[3], worst[i]);
}

Test(kernels, awkward_shapes) {
    lopt_setting settings[] = {{"hidden_size", "4"}, {"weight_decay", "0.1"}};
    lopt_optimizer *opt = create(settings, 2);
    for (int i = 0; i < N_SHAPES; i++) check(opt, shapes[i], 12, 1, "hidden 4");
    lopt_destroy(opt);
}

Test(kernels, awkward_networks) {
    static const char *const sizes[] = {"1", "3", "4", "5", "8", "11", "12", "13", "32", "33", "100"};
    static const char *const layers[] = {"1", "2", "3", "8"};
    static const shape some[] = {{2, {20, 37}}, {2, {37, 5}}, {1, {50}}};
    for (int i = 0; i < 11; i++)
        for (int k = 0; k < (i < 9 ? 4 : 2); k++) {
            lopt_setting settings[] = {{"hidden_size", sizes[i]}, {"hidden_layers", layers[k]}, {"decay_form", "raw"}};
            lopt_optimizer *opt = create(settings, 3);
            char what[64];
            snprintf(what, sizeof what, "hidden %s x %s", sizes[i], layers[k]);
            for (int s = 0; s < 3; s++) check(opt, some[s], 3, 1, what);
            lopt_destroy(opt);
        }
}

Test(kernels, every_form_of_the_update) {
    static const char *const uses[] = {"before", "after"};
    static const char *const ties[] = {"stable", "pylo-velo"};
    for (int i = 0; i < 4; i++) {
        lopt_setting settings[] = {
            {"weight_decay_uses", uses[i % 2]}, {"tie_rule", ties[i / 2]}, {"weight_decay", "0.3"},
            {"learning_rate", "0.5"},           {"exp_mult", "2"},         {"step_mult", "0.01"}};
        lopt_optimizer *opt = create(settings, 6);
        check(opt, (shape){2, {19, 19}}, 10, 1, uses[i % 2]);
        check(opt, (shape){1, {19}}, 10, 1, uses[i % 2]);
        lopt_destroy(opt);
    }
}

Test(kernels, gradients_of_any_scale) {
    static const float scales[] = {0, 1e-20f, 1e-6f, 1e3f, 1e8f};
    lopt_optimizer *opt = create(NULL, 0);
    for (int i = 0; i < 5; i++) {
        check(opt, (shape){2, {20, 33}}, 10, scales[i], "scale");
        check(opt, (shape){1, {33}}, 10, scales[i], "scale");
    }
    lopt_destroy(opt);
}

Test(kernels, thousands_of_steps) {
    lopt_optimizer *opt = create(NULL, 0);
    check(opt, (shape){2, {6, 17}}, 3000, 0.01f, "long");
    check(opt, (shape){1, {21}}, 3000, 0.01f, "long");
    lopt_destroy(opt);
}

/* Sums over many elements lose nothing; among them strided lanes too many to be packed. */
Test(kernels, long_sums_are_exact) {
    static const shape large[] = {{2, {3, 100000}}, {2, {10000, 33}}, {2, {12000, 7}}, {1, {300000}}};
    lopt_optimizer *opt = create(NULL, 0);
    for (int i = 0; i < 4; i++) check(opt, large[i], 2, 1, "large");
    lopt_destroy(opt);
}

Test(kernels, what_is_not_finite_shows) {
    static const float bad[] = {NAN, INFINITY, 1e30f}; /* the last overflows when squared */
    lopt_setting settings[] = {{"hidden_size", "5"}};
    lopt_optimizer *opt = create(settings, 1);
    lopt_tensor t = lopt_tensor_make("x", 2, (int64_t[]){18, 35});
    for (int i = 0; i <= N_TABLES + 2; i++)
        for (int b = 0; b < 3; b++) {
            float params[18 * 35], grads[18 * 35], updates[18 * 35];
            if (!use(i < N_TABLES ? tables[i] : i == N_TABLES ? "reference" : rounding[i - N_TABLES - 1])) continue;
            fill(params, 18 * 35, 1);
            fill(grads, 18 * 35, 1);
            grads[100] = bad[b];
            lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
            lopt_step(opt, state, params, grads, 0, updates);
            cr_assert(!isfinite(updates[100]), "table %d, gradient %g: %g", i, bad[b], updates[100]);
            lopt_state_destroy(state);
        }
    lopt_destroy(opt);
}

Test(kernels, the_same_inputs_give_the_same_bits) {
    lopt_setting settings[] = {{"hidden_size", "9"}};
    lopt_optimizer *opt = create(settings, 1);
    lopt_tensor t = lopt_tensor_make("x", 2, (int64_t[]){40, 23});
    float params[2][40 * 23 + 1], grads[40 * 23];
    for (int i = 0; i < N_TABLES; i++) {
        if (!use(tables[i])) continue;
        fill(grads, 40 * 23, 1);
        for (int k = 0; k < 2; k++) { /* the second time at another alignment */
            lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
            lopt_rng_state = 5;
            fill(params[k] + k, 40 * 23, 1);
            for (int step = 0; step < 5; step++) lopt_step(opt, state, params[k] + k, grads, 0, NULL);
            lopt_state_destroy(state);
        }
        cr_assert(memcmp(params[0], params[1] + 1, 40 * 23 * sizeof(float)) == 0, "%s", tables[i]);
    }
    lopt_destroy(opt);
}

Test(kernels, a_state_serves_any_table) {
    lopt_optimizer *opt = create(NULL, 0);
    lopt_tensor t = lopt_tensor_make("x", 2, (int64_t[]){40, 23});
    float params[40 * 23], grads[40 * 23];
    fill(params, 40 * 23, 1);
    fill(grads, 40 * 23, 1);
    cr_assert(use("reference"));
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    for (int i = 0; i <= N_TABLES; i++) {
        use(i < N_TABLES ? tables[i] : "reference");
        lopt_step(opt, state, params, grads, 0, NULL);
    }
    for (int i = 0; i < 40 * 23; i++) cr_assert(isfinite(params[i]));
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* ---- bf16 ---------------------------------------------------------------------------------------- */

Test(kernels, bf16_rounds_to_nearest) {
    static const struct {
        float x;
        uint32_t bits;
    } cases[] = {{1, 0x3f80},           {-2.5f, 0xc020},   {1.00390625f, 0x3f80}, /* ties go to even */
                 {1.01171875f, 0x3f82}, {1.0040f, 0x3f81}, {INFINITY, 0x7f80},
                 {3.4e38f, 0x7f80},     {1e-39f, 0},       {-1e-39f, 0x8000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert(lopt__round_to_bf16(cases[i].x) == cases[i].bits, "%g: %x", (double)cases[i].x,
                  lopt__round_to_bf16(cases[i].x));
    cr_assert((lopt__round_to_bf16(NAN) & 0x7fff) > 0x7f80);
    cr_assert(lopt__pack_bf16_pair(1, -2.5f) == 0xc0203f80);
}

/* Updates of the third step of one table. */
static void updates_of(const lopt_optimizer *opt, const char *table, size_t rows, size_t cols, float *updates) {
    lopt_tensor t = lopt_tensor_make("x", 2, (int64_t[]){(int64_t)rows, (int64_t)cols});
    float *params = malloc(rows * cols * sizeof *params), *grads = malloc(rows * cols * sizeof *grads);
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    cr_assert(use(table));
    lopt_rng_state = 3;
    fill(params, rows * cols, 1);
    for (int step = 0; step < 3; step++) {
        fill(grads, rows * cols, 1);
        lopt_step(opt, state, params, grads, 0, updates);
    }
    lopt_state_destroy(state);
    free(params);
    free(grads);
}

/* Root mean square of the difference over that of b. */
static double distance(const float *a, const float *b, size_t n) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        cr_assert(isfinite(a[i]));
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(difference / size);
}

Test(kernels, bf16_is_rough_and_the_same_everywhere) {
    static const char *const hidden[] = {"3", "8", "32", "37"}, *const layers[] = {"1", "2", "4"};
    enum { ROWS = 33, COLS = 70, N = ROWS * COLS };
    static float right[N], rough[2][N];
    for (int i = 0; i < 12; i++) {
        lopt_setting settings[] = {{"hidden_size", hidden[i / 3]}, {"hidden_layers", layers[i % 3]}};
        lopt_optimizer *opt = create(settings, 2);
        updates_of(opt, "reference", ROWS, COLS, right);
        for (int k = 0; k < 2; k++) {
            if (!use(rounding[k])) continue;
            updates_of(opt, rounding[k], ROWS, COLS, rough[k]);
            double d = distance(rough[k], right, N), between = distance(rough[k], rough[0], N);
            cr_assert(d <= 0.05 && d > 1e-4, "%s, hidden %s x %s: %g", rounding[k], hidden[i / 3], layers[i % 3], d);
            cr_assert(between <= 0.1 * d, "%s, hidden %s x %s: %g", rounding[k], hidden[i / 3], layers[i % 3], between);
        }
        lopt_destroy(opt);
    }
}

Test(kernels, are_chosen_by_name) {
    lopt_error err = {0};
    cr_assert(use("reference") && strcmp(lopt_kernels_name(), "reference") == 0);
    cr_assert(lopt_kernels_use("sse9", &err) == LOPT_EUNKNOWN);
    cr_assert(strstr(err.text, "kernels \"sse9\" are not available"), "%s", err.text);
    cr_assert(strcmp(lopt_kernels_name(), "reference") == 0);
    cr_assert(use(NULL) && strcmp(lopt_kernels_name(), "reference") != 0);
    cr_assert(!strstr(lopt_kernels_name(), "bf16"));
    cr_assert(use("portable-bf16") && strcmp(lopt_kernels_name(), "portable-bf16") == 0);
    cr_assert(use("portable") && strcmp(lopt_kernels_name(), "portable") == 0);
}

Test(kernels, environment_chooses) {
    setenv("LOPT_KERNELS", "portable", 1);
    cr_assert(strcmp(lopt_kernels_name(), "portable") == 0, "%s", lopt_kernels_name());
}
