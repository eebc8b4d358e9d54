/* SPDX-License-Identifier: Apache-2.0
 *
 * What every learned optimizer must do, whatever it is: tensors with 0 to 4 axes, in any order,
 * each with its own rate; the initial distribution of theta. */
#include "rng/rng.h"
#include "worked.h"

enum { N_TENSORS = 9, MAX_PARAMS = 2000, N_STEPS = 4 };

/* Ties, axes of 1, more rows than columns and fewer; sizes beyond one vector. */
static void tensors(lopt_tensor t[N_TENSORS]) {
    t[0] = lopt_tensor_make("scalar", 0, NULL);
    t[1] = lopt_tensor_make("bias", 1, (int64_t[]){33});
    t[2] = lopt_tensor_make("wide", 2, (int64_t[]){3, 40});
    t[3] = lopt_tensor_make("tall", 2, (int64_t[]){19, 6});
    t[4] = lopt_tensor_make("square", 2, (int64_t[]){17, 17});
    t[5] = lopt_tensor_make("column", 2, (int64_t[]){5, 1});
    t[6] = lopt_tensor_make("cube", 3, (int64_t[]){4, 4, 4});
    t[7] = lopt_tensor_make("kernel", 4, (int64_t[]){3, 3, 5, 7});
    t[8] = lopt_tensor_make("one", 1, (int64_t[]){1});
}

static void normals(uint64_t seed, uint64_t a, float scale, size_t n, float *out) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_TEST, a, 0, 0});
    lopt_rng_fill_normals(&r, n, out);
    for (size_t i = 0; i < n; i++) out[i] *= scale;
}

/* Small where sizes are free, its theta moved away from the zeros in it. */
static lopt_optimizer *small(const char *preset) {
    static const lopt_setting sizes[] = {{"hidden_size", "5"}, {"lstm_hidden_size", "6"}, {"param_inits", "3"}};
    lopt_setting settings[3];
    lopt_hyper_info hyper;
    size_t n = 0;
    for (size_t i = 0; lopt_hyper(preset, i, &hyper); i++)
        for (int k = 0; k < 3; k++)
            if (strcmp(hyper.name, sizes[k].name) == 0) settings[n++] = sizes[k];
    lopt_optimizer *opt = worked_create(preset, settings, n);
    float *theta = malloc(2 * lopt_n_theta(opt) * sizeof *theta), *noise = theta + lopt_n_theta(opt);
    lopt_init_theta(opt, 3, theta);
    normals(4, 0, 0.02f, lopt_n_theta(opt), noise);
    for (size_t i = 0; i < lopt_n_theta(opt); i++) theta[i] += noise[i];
    lopt_set_theta(opt, theta);
    free(theta);
    return opt;
}

static const lopt_preset_info *next_learned(size_t *i) {
    const lopt_preset_info *info;
    while ((info = lopt_preset((*i)++)) && !info->learned)
        ;
    return info;
}

/* Copies x, whose tensors lie in the order of t, into the order of `order`. */
static void reorder(const lopt_tensor *t, const int *order, const float *x, float *out) {
    for (int k = 0; k < N_TENSORS; k++) {
        const float *from = x;
        for (int j = 0; j < order[k]; j++) from += lopt_tensor_size(&t[j]);
        int64_t n = lopt_tensor_size(&t[order[k]]);
        memcpy(out, from, (size_t)n * sizeof *out);
        out += n;
    }
}

static size_t count(const lopt_tensor *t) {
    size_t n = 0;
    for (int i = 0; i < N_TENSORS; i++) n += (size_t)lopt_tensor_size(&t[i]);
    return n;
}

/* N_STEPS steps with tensors in an order; the sum of updates, in the order of t. */
static void train(const lopt_optimizer *opt, const lopt_tensor *t, const int *order, float *moved) {
    static float p[MAX_PARAMS], g[MAX_PARAMS], x[MAX_PARAMS], u[MAX_PARAMS], sum[MAX_PARAMS];
    lopt_tensor ordered[N_TENSORS];
    int back[N_TENSORS];
    size_t n = count(t);
    lopt_error err = {0};
    for (int k = 0; k < N_TENSORS; k++) {
        ordered[k] = t[order[k]];
        back[order[k]] = k;
    }
    lopt_state *state = lopt_state_create(opt, ordered, N_TENSORS, &err);
    cr_assert(state, "%s", err.text);
    lopt_state_reset(opt, state, 50);
    normals(5, 0, 0.3f, n, x);
    reorder(t, order, x, p);
    memset(sum, 0, sizeof sum);
    for (int step = 0; step < N_STEPS; step++) {
        normals(6, (uint64_t)step, 0.1f, n, x);
        reorder(t, order, x, g);
        lopt_step(opt, state, p, g, worked_losses[step], u);
        for (size_t i = 0; i < n; i++) sum[i] += u[i];
    }
    reorder(ordered, back, sum, moved);
    lopt_state_destroy(state);
}

static float largest(const float *x, int64_t n) {
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

Test(learned_presets, permuting_tensors_permutes_updates) {
    static const int as_is[N_TENSORS] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const int other[N_TENSORS] = {7, 3, 0, 8, 4, 1, 6, 2, 5};
    static float a[MAX_PARAMS], b[MAX_PARAMS];
    lopt_tensor t[N_TENSORS];
    const lopt_preset_info *info;
    tensors(t);
    for (size_t i = 0; (info = next_learned(&i));) {
        lopt_optimizer *opt = small(info->name);
        train(opt, t, as_is, a);
        train(opt, t, other, b);
        const float *x = a, *y = b;
        for (int k = 0; k < N_TENSORS; k++) {
            int64_t n = lopt_tensor_size(&t[k]);
            float most = largest(x, n);
            cr_assert(isfinite(most) && most > 0, "%s does not move %s: %g", info->name, t[k].name, (double)most);
            for (int64_t j = 0; j < n; j++)
                cr_assert(fabsf(x[j] - y[j]) <= 1e-4f * most, "%s, %s, element %d: %g, permuted %g", info->name,
                          t[k].name, (int)j, (double)x[j], (double)y[j]);
            x += n;
            y += n;
        }
        lopt_destroy(opt);
    }
}

/* The first step: later ones see other parameters. */
Test(learned_presets, a_tensor_has_its_own_rate) {
    static float p[MAX_PARAMS], g[MAX_PARAMS], u[MAX_PARAMS], scaled[MAX_PARAMS];
    const lopt_preset_info *info;
    for (size_t i = 0; (info = next_learned(&i));) {
        lopt_optimizer *opt = small(info->name);
        for (int pass = 0; pass < 2; pass++) {
            lopt_tensor t[N_TENSORS];
            lopt_error err = {0};
            tensors(t);
            t[4].lr_scale = pass ? 0.25f : 1;
            lopt_state *state = lopt_state_create(opt, t, N_TENSORS, &err);
            cr_assert(state, "%s", err.text);
            normals(5, 0, 0.3f, count(t), p);
            normals(6, 0, 0.1f, count(t), g);
            lopt_step(opt, state, p, g, 1, pass ? scaled : u);
            lopt_state_destroy(state);
        }
        int64_t first = 1 + 33 + 120 + 114;
        for (int64_t k = 0; k < first + 289 + 100; k++) {
            double expected = k >= first && k < first + 289 ? 0.25 * (double)u[k] : (double)u[k];
            cr_assert(fabs((double)scaled[k] - expected) <= 1e-6 * fabs((double)u[k]),
                      "%s, parameter %d: %g, expected %g", info->name, (int)k, (double)scaled[k], expected);
        }
        lopt_destroy(opt);
    }
}

/* ---- initial theta --------------------------------------------------------------------------- */

/* A block drawn from a normal of this scale truncated to [-2, 2]; 0: a constant. */
typedef struct law {
    const char *preset, *block;
    double scale, value;
} law;

#define TRUNCATED_DEVIATION 0.87962566103423978

enum { N_SEEDS = 50 }; /* small blocks have few numbers */

typedef struct sums {
    double n, mean, square, most;
} sums;

static void add_draw(const lopt_optimizer *opt, const law *l, uint64_t seed, float *theta, sums *s) {
    const lopt_block *b = lopt_block_find(opt, l->block);
    cr_assert(b, "%s has no block %s", l->preset, l->block);
    lopt_init_theta(opt, seed, theta);
    for (size_t k = 0; k < b->size; k++) {
        double x = (double)theta[b->offset + k];
        cr_assert(l->scale > 0 || fabs(x - l->value) < 1e-6, "%s, %s: %g, not %g", l->preset, l->block, x, l->value);
        s->n += 1;
        s->mean += x;
        s->square += x * x;
        s->most = fmax(s->most, fabs(x));
    }
}

static void check_law(const lopt_optimizer *opt, const law *l) {
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    sums s = {0};
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) add_draw(opt, l, seed, theta, &s);
    free(theta);
    if (l->scale == 0) return;
    double deviation = TRUNCATED_DEVIATION * l->scale, found = sqrt(s.square / s.n);
    cr_assert(s.most <= 2 * l->scale, "%s, %s: %g is outside", l->preset, l->block, s.most);
    cr_assert(fabs(s.mean / s.n) < 5 * deviation / sqrt(s.n), "%s, %s: mean %g", l->preset, l->block, s.mean / s.n);
    cr_assert(fabs(found / deviation - 1) < 4 / sqrt(2 * s.n), "%s, %s: deviation %g, not %g", l->preset, l->block,
              found, deviation);
}

Test(learned_presets, initial_theta) {
    const law laws[] = {
        {"mlp-lopt", "mlp/~/linear_0/w", 1 / sqrt(19), 0},
        {"mlp-lopt", "mlp/~/linear_1/w", 1 / sqrt(32), 0},
        {"mlp-lopt", "mlp/~/linear_2/w", 1 / sqrt(32), 0},
        {"mlp-lopt", "mlp/~/linear_1/b", 0, 0},
        {"adafac-nominal", "w0", 1 / sqrt(39), 0},
        {"adafac-nominal", "b2", 0, 0},
        {"adafac-nominal", "momentum_decays", 0, 0},
        {"adafac-nominal", "adafactor_decays", 0, 0},
        {"mulo", "w1", 1 / sqrt(32), 0},
        {"mulo", "rms_decays", 0, 0},
        {"nn-adam", "rnn_params/rnn/linear/w", 1 / sqrt(51), 0},
        {"nn-adam", "rnn_params/rnn/linear/b", 0, 0},
        {"nn-adam", "lstm_init_state/cell", 0, 0},
        {"nn-adam", "rnn_to_controls_params/rnn_to_controls/w", 0, 0},
        {"nn-adam", "rnn_to_controls_params/rnn_to_controls/b", 0, 0},
        {"nn-adam", "per_layer_lr", 0, -0.921034},
        {"nn-adam", "per_layer_beta1", 0, -0.230259},
        {"nn-adam", "per_layer_beta2", 0, -0.690776},
        {"nn-adam", "per_layer_epsilon", 0, -1.842068},
        {"rnn-mlp", "initial_from_lstm", 1 / sqrt(18) / TRUNCATED_DEVIATION, 0},
        {"rnn-mlp", "initial_from_mlp", 1 / sqrt(16) / TRUNCATED_DEVIATION, 0},
        {"rnn-mlp", "rnn_params/rnn/linear/w", 1 / sqrt(116), 0},
        {"rnn-mlp", "rnn_to_ff_params/rnn_to_ff/w", 1 / sqrt(64), 0},
        {"rnn-mlp", "rnn_to_in_params/rnn_to_in/w", 1 / sqrt(64), 0},
        {"rnn-mlp", "rnn_to_in_params/rnn_to_in/b", 0, 0},
        {"rnn-mlp", "ffmod_params/mlp/~/linear_0/w", 1 / sqrt(54), 0},
        {"rnn-mlp", "ffmod_params/mlp/~/linear_2/w", 1 / sqrt(32), 0},
        {"learnable-sgd", "log_lr", 0, log(0.01)},
        {"learnable-sgdm", "log_lr", 0, log(0.01)},
        {"learnable-sgdm", "one_minus_momentum", 0, log(0.1)},
        {"learnable-adam", "log_lr", 0, log(0.001)},
        {"learnable-adam", "one_minus_beta1", 0, log(0.1)},
        {"learnable-adam", "one_minus_beta2", 0, log(0.001)},
        {"learnable-adam", "log_epsilon", 0, log(1e-8)},
    };
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++) {
        lopt_optimizer *opt = worked_create(laws[i].preset, NULL, 0);
        check_law(opt, &laws[i]);
        lopt_destroy(opt);
    }
}

Test(learned_presets, sizes_of_theta) {
    static const struct {
        const char *preset;
        size_t n;
    } sizes[] = {{"small-fc", 197},       {"mulo", 2409},        {"mlp-lopt", 1762},
                 {"adafac-nominal", 207}, {"nn-adam", 6856},     {"rnn-mlp", 35799},
                 {"learnable-sgd", 1},    {"learnable-sgdm", 2}, {"learnable-adam", 4}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        lopt_optimizer *opt = worked_create(sizes[i].preset, NULL, 0);
        cr_assert(lopt_n_theta(opt) == sizes[i].n, "%s: theta has %zu numbers, not %zu", sizes[i].preset,
                  lopt_n_theta(opt), sizes[i].n);
        lopt_destroy(opt);
    }
}
