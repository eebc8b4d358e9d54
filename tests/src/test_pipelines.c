/* SPDX-License-Identifier: Apache-2.0
 *
 * VeLO, Celo and Celo2 on every kernel table that this machine runs, against the plain reference:
 * updates of a tensor agree within a few roundings of the largest. And a copied state goes on with
 * the same bits. */
#include "rng/rng.h"
#include "worked.h"

static const char *const tables[] = {"portable", "avx2", "avx512"};
enum { N_TABLES = 3, N_TENSORS = 10, N_STEPS = 6 };

typedef struct form {
    const char *name;
    double tolerance; /* of an update, over the largest of its tensor */
    const char *preset;
    lopt_setting setting[4];
    int n_settings;
} form;

/* Newton-Schulz magnifies roundings; so do VeLO's controllers (many_draws_of_velo). */
static const form forms[] = {
    {"velo", 1e-5, "velo", {{"lstm_hidden_size", "12"}, {"param_inits", "5"}}, 2},
    {"velo, one network of 7 units",
     1e-5,
     "velo-pylo",
     {{"lstm_hidden_size", "3"}, {"param_inits", "1"}, {"hidden_size", "7"}, {"weight_decay", "0.1"}},
     4},
    {"celo", 1e-5, "celo", {{NULL, NULL}}, 0},
    {"celo, wide", 1e-5, "celo-phase1", {{"hidden_size", "33"}, {"hidden_layers", "3"}}, 2},
    {"celo2-base", 1e-5, "celo2-base", {{NULL, NULL}}, 0},
    {"celo2-base, magnitude", 1e-5, "celo2-base", {{"exp_mult", "0.3"}, {"param_scale_mult", "true"}}, 2},
    {"celo2-base, over tensors", 1e-5, "celo2-base", {{"normalise_over", "tensor"}}, 1},
    {"celo2-base, tanh", 1e-5, "celo2-base", {{"activation", "tanh"}}, 1},
    {"celo2", 2e-4, "celo2", {{NULL, NULL}}, 0},
    {"elo-celo2", 2e-4, "elo-celo2", {{NULL, NULL}}, 0},
};
enum { N_FORMS = sizeof forms / sizeof forms[0] };

static size_t tensors(lopt_tensor t[N_TENSORS]) {
    size_t n = 0;
    t[0] = lopt_tensor_make("scalar", 0, NULL);
    t[1] = lopt_tensor_make("b0", 1, (int64_t[]){37});
    t[2] = lopt_tensor_make("wide", 2, (int64_t[]){5, 70});
    t[3] = lopt_tensor_make("tall", 2, (int64_t[]){64, 10});
    t[4] = lopt_tensor_make("square", 2, (int64_t[]){33, 33});
    t[5] = lopt_tensor_make("row", 2, (int64_t[]){1, 19});
    t[6] = lopt_tensor_make("cube", 3, (int64_t[]){3, 18, 17});
    t[7] = lopt_tensor_make("conv", 4, (int64_t[]){3, 3, 20, 18});
    t[8] = lopt_tensor_make("torch conv", 4, (int64_t[]){20, 18, 3, 3});
    t[9] = lopt_tensor_make("middle", 4, (int64_t[]){2, 20, 3, 18});
    for (int i = 0; i < N_TENSORS; i++) n += (size_t)lopt_tensor_size(&t[i]);
    return n;
}

static void normals(uint64_t a, float scale, size_t n, float *out) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){6, LOPT_RNG_TEST, a, 0, 0});
    lopt_rng_fill_normals(&r, n, out);
    for (size_t i = 0; i < n; i++) out[i] *= scale;
}

/* Weights as drawn at first, and noise; its seed and streams count from `draw`. */
static lopt_optimizer *create_draw(const form *f, uint64_t draw, float scale) {
    lopt_optimizer *opt = worked_create(f->preset, f->setting, (size_t)f->n_settings);
    size_t n = lopt_n_theta(opt);
    float *theta = malloc(2 * n * sizeof *theta), *noise = theta + n;
    lopt_init_theta(opt, 3 + draw, theta);
    normals(1 + 1000 * draw, scale, n, noise);
    for (size_t i = 0; i < n; i++) theta[i] += noise[i];
    lopt_set_theta(opt, theta);
    free(theta);
    return opt;
}

static lopt_optimizer *create(const form *f) {
    return create_draw(f, 0, 0.1f);
}

/* Both gradients and parameters as given at every step, so that errors do not add up. */
static void train(const lopt_optimizer *opt, const lopt_tensor *t, size_t n, float *updates) {
    float *p = malloc(2 * n * sizeof *p), *g = p + n;
    lopt_state *state = lopt_state_create(opt, t, N_TENSORS, NULL);
    cr_assert(state);
    lopt_state_reset(opt, state, 50);
    for (int step = 0; step < N_STEPS; step++) {
        normals(10, 0.3f, n, p);
        normals(20 + (uint64_t)step, 0.5f, n, g);
        lopt_step(opt, state, p, g, worked_losses[step % 5], updates + (size_t)step * n);
    }
    lopt_state_destroy(state);
    free(p);
}

/* Largest difference of a tensor's updates in one step, over the largest of b. */
static double apart(const float *a, const float *b, int64_t n) {
    double most = 0, largest = 0;
    for (int64_t k = 0; k < n; k++) {
        double d = fabs((double)a[k] - b[k]);
        most = d <= most ? most : d;
        largest = fabs((double)b[k]) > largest ? fabs((double)b[k]) : largest;
    }
    return largest > 0 ? most / largest : most;
}

static void compare(const form *f, const char *table, const lopt_tensor *t, const float *fast, const float *reference) {
    for (int step = 0; step < N_STEPS; step++)
        for (int i = 0; i < N_TENSORS; i++) {
            int64_t size = lopt_tensor_size(&t[i]);
            double d = apart(fast, reference, size);
            cr_assert(d <= f->tolerance, "%s on %s, step %d, tensor %s: %.2e of the largest", f->name, table, step,
                      t[i].name, d);
            fast += size;
            reference += size;
        }
}

Test(pipelines, tables_agree_with_the_reference) {
    lopt_tensor t[N_TENSORS];
    size_t n = tensors(t);
    float *fast = malloc(2 * N_STEPS * n * sizeof *fast), *reference = fast + N_STEPS * n;
    for (int i = 0; i < N_FORMS; i++) {
        lopt_optimizer *opt = create(&forms[i]);
        cr_assert(lopt_kernels_use("reference", NULL) == LOPT_OK);
        train(opt, t, n, reference);
        for (int k = 0; k < N_TABLES; k++) {
            if (lopt_kernels_use(tables[k], NULL) != LOPT_OK) continue;
            train(opt, t, n, fast);
            compare(&forms[i], tables[k], t, fast, reference);
        }
        lopt_destroy(opt);
    }
    free(fast);
}

/* ---- many draws of VeLO ---------------------------------------------------------------------- */

/* A step of VeLO is a product with a step size and a direction that may each be a small difference of
 * large terms. What may be asked of floats is: no more than a few times what the last digit of the
 * weights does to the reference. */
static const form draws[] = {
    {"velo", 1e-5, "velo", {{"num_steps", "50"}}, 1},
    {"velo-s", 1e-5, "velo-s", {{"num_steps", "50"}}, 1},
    {"velo, small", 1e-5, "velo", {{"lstm_hidden_size", "12"}, {"param_inits", "5"}}, 2},
};
static const int n_draws[] = {1, 4, 12};
enum { N_MOVES = 4, LAST_DIGITS = 4 };

/* change[step][tensor]: at least that which neighbouring floats for all of theta make. */
static void move_last_digits(const lopt_optimizer *opt, int move, const lopt_tensor *t, size_t n, const float *right,
                             double change[N_STEPS][N_TENSORS]) {
    size_t n_theta = lopt_n_theta(opt);
    lopt_optimizer *moved = lopt_clone(opt);
    float *theta = malloc(n_theta * sizeof *theta), *updates = malloc(N_STEPS * n * sizeof *updates);
    const float *u = updates;
    normals(500 + (uint64_t)move, 1, n_theta, theta);
    for (size_t i = 0; i < n_theta; i++) theta[i] = nextafterf(lopt_theta(opt)[i], theta[i] > 0 ? INFINITY : -INFINITY);
    lopt_set_theta(moved, theta);
    train(moved, t, n, updates);
    for (int step = 0; step < N_STEPS; step++)
        for (int i = 0; i < N_TENSORS; i++) {
            int64_t size = lopt_tensor_size(&t[i]);
            change[step][i] = fmax(change[step][i], apart(u, right, size));
            u += size;
            right += size;
        }
    lopt_destroy(moved);
    free(theta);
    free(updates);
}

static void check_draw(const form *f, int draw, const lopt_tensor *t, size_t n, float *memory) {
    float *right = memory, *fast = memory + N_STEPS * n;
    double change[N_STEPS][N_TENSORS] = {{0}};
    lopt_optimizer *opt = create_draw(f, (uint64_t)draw, 0.03f);
    cr_assert(lopt_kernels_use("reference", NULL) == LOPT_OK);
    train(opt, t, n, right);
    for (int k = 0; k < N_MOVES; k++) move_last_digits(opt, k, t, n, right, change);
    for (int k = 0; k < N_TABLES; k++) {
        if (lopt_kernels_use(tables[k], NULL) != LOPT_OK) continue;
        train(opt, t, n, fast);
        const float *a = fast, *b = right;
        for (int step = 0; step < N_STEPS; step++)
            for (int i = 0; i < N_TENSORS; i++) {
                int64_t size = lopt_tensor_size(&t[i]);
                double d = apart(a, b, size), allowed = f->tolerance + LAST_DIGITS * change[step][i];
                cr_assert(d <= allowed, "%s, draw %d, on %s, step %d, tensor %s: %.2e, allowed %.2e", f->name, draw,
                          tables[k], step, t[i].name, d, allowed);
                a += size;
                b += size;
            }
    }
    lopt_destroy(opt);
}

Test(pipelines, many_draws_of_velo) {
    lopt_tensor t[N_TENSORS];
    size_t n = tensors(t);
    float *memory = malloc(2 * N_STEPS * n * sizeof *memory);
    for (int i = 0; i < (int)(sizeof draws / sizeof *draws); i++)
        for (int draw = 0; draw < n_draws[i]; draw++) check_draw(&draws[i], draw, t, n, memory);
    free(memory);
}

/* ---------------------------------------------------------------------------------------------- */

Test(pipelines, a_copied_state_goes_on_with_the_same_bits) {
    lopt_tensor t[N_TENSORS];
    size_t n = tensors(t), bytes;
    float *p = malloc(3 * n * sizeof *p), *q = p + n, *g = q + n;
    for (int i = 0; i < N_FORMS; i++) {
        lopt_optimizer *opt = create(&forms[i]);
        lopt_state *state = lopt_state_create(opt, t, N_TENSORS, NULL);
        lopt_state *copy = lopt_state_create(opt, t, N_TENSORS, NULL);
        cr_assert(state && copy);
        lopt_state_reset(opt, state, 50);
        normals(10, 0.3f, n, p);
        for (int step = 0; step < N_STEPS; step++) {
            if (step == N_STEPS / 2) {
                const void *data = lopt_state_data(state, &bytes);
                memcpy(lopt_state_data(copy, &bytes), data, bytes);
                memcpy(q, p, n * sizeof *p);
            }
            normals(20 + (uint64_t)step, 0.5f, n, g);
            lopt_step(opt, state, p, g, worked_losses[step % 5], NULL);
            if (step >= N_STEPS / 2) lopt_step(opt, copy, q, g, worked_losses[step % 5], NULL);
        }
        cr_assert(memcmp(p, q, n * sizeof *p) == 0, "%s", forms[i].name);
        lopt_state_destroy(state);
        lopt_state_destroy(copy);
        lopt_destroy(opt);
    }
    free(p);
}

/* Updates after two thousand steps on small tensors; gradients and parameters are given. */
static void train_long(const lopt_optimizer *opt, const lopt_tensor *t, size_t n, float *updates) {
    enum { LONG = 2000 };
    float p[64], g[64];
    lopt_state *state = lopt_state_create(opt, t, 3, NULL);
    cr_assert(state && n <= 64);
    lopt_state_reset(opt, state, LONG);
    for (int step = 0; step < LONG; step++) {
        normals(10, 0.3f, n, p);
        normals(20 + (uint64_t)step, 0.5f, n, g);
        lopt_step(opt, state, p, g, 1 + 1 / (1 + 0.01f * (float)step), updates);
    }
    lopt_state_destroy(state);
}

Test(pipelines, two_thousand_steps_do_not_drift) {
    lopt_tensor t[] = {lopt_tensor_make("b", 1, (int64_t[]){7}), lopt_tensor_make("w", 2, (int64_t[]){5, 3}),
                       lopt_tensor_make("c", 3, (int64_t[]){2, 4, 5})};
    enum { N = 7 + 15 + 40 };
    float reference[N], fast[N];
    for (int i = 0; i < N_FORMS; i++) {
        lopt_optimizer *opt = create(&forms[i]);
        cr_assert(lopt_kernels_use("reference", NULL) == LOPT_OK);
        train_long(opt, t, N, reference);
        cr_assert(lopt_kernels_use(NULL, NULL) == LOPT_OK);
        train_long(opt, t, N, fast);
        int64_t at = 0;
        for (int k = 0; k < 3; k++) {
            int64_t size = lopt_tensor_size(&t[k]);
            double d = apart(fast + at, reference + at, size);
            cr_assert(d <= 2 * forms[i].tolerance, "%s, tensor %s: %.2e of the largest", forms[i].name, t[k].name, d);
            at += size;
        }
        lopt_destroy(opt);
    }
}
