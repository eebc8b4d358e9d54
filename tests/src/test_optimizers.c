/* SPDX-License-Identifier: Apache-2.0
 *
 * Optimizers through the public header: settings, theta, state, and what a step computes, against textbook
 * formulas in double and against numbers worked out by an independent transcription of the formulas. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lopt.h"

/* ---- helpers ------------------------------------------------------------------------------------- */

static lopt_optimizer *create(const char *preset, const lopt_setting *settings, size_t n) {
    lopt_error err = {0};
    lopt_optimizer *opt = lopt_create(preset, settings, n, &err);
    cr_assert(opt, "%s", err.text);
    return opt;
}

static lopt_state *create_state(const lopt_optimizer *opt, const lopt_tensor *tensors, size_t n) {
    lopt_error err = {0};
    lopt_state *state = lopt_state_create(opt, tensors, n, &err);
    cr_assert(state, "%s", err.text);
    return state;
}

static void set_initial_theta(lopt_optimizer *opt, uint64_t seed) {
    float *theta = malloc((lopt_n_theta(opt) + 1) * sizeof *theta);
    lopt_init_theta(opt, seed, theta);
    lopt_set_theta(opt, theta);
    free(theta);
}

/* Element k is a sin(w k + phase), rounded to float: the worked numbers' inputs. */
static void waves(float *out, size_t n, double a, double w, double phase) {
    for (size_t k = 0; k < n; k++) out[k] = (float)(a * sin(w * (double)k + phase));
}

/* The five tensors of the worked numbers, 0 to 4 axes. */
enum { N_TENSORS = 5, N_PARAMS = 15 + 16 + 48 + 5 + 1 };

static void worked_tensors(lopt_tensor t[N_TENSORS]) {
    t[0] = lopt_tensor_make("A", 2, (int64_t[]){3, 5});
    t[1] = lopt_tensor_make("B", 2, (int64_t[]){4, 4});
    t[2] = lopt_tensor_make("C", 4, (int64_t[]){2, 2, 3, 4});
    t[3] = lopt_tensor_make("D", 1, (int64_t[]){5});
    t[4] = lopt_tensor_make("E", 0, NULL);
}

static void worked_params(const lopt_tensor *t, float *p) {
    for (int i = 0; i < N_TENSORS; i++) {
        waves(p, (size_t)lopt_tensor_size(&t[i]), 0.3, 0.7, 1 + i);
        p += lopt_tensor_size(&t[i]);
    }
}

static void worked_grads(const lopt_tensor *t, int step, float *g) {
    for (int i = 0; i < N_TENSORS; i++) {
        waves(g, (size_t)lopt_tensor_size(&t[i]), 0.05, 0.9, 0.5 * step + 0.3 * i);
        g += lopt_tensor_size(&t[i]);
    }
}

static void worked_theta(lopt_optimizer *opt) {
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    lopt_init_theta(opt, 1, theta);
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        double layer = b->name[1] - '0';
        if (b->name[0] == 'w' && b->rank == 2)
            waves(theta + b->offset, b->size, 0.5, 0.37, layer);
        else if (b->name[0] == 'b' && b->rank == 1)
            waves(theta + b->offset, b->size, 0.1, 0.37, 0.5 + layer);
    }
    lopt_set_theta(opt, theta);
    free(theta);
}

typedef struct worked {
    int tensor;
    double first[4], sum;
} worked;

static void check_worked(lopt_optimizer *opt, const worked *expected, int n) {
    lopt_tensor t[N_TENSORS];
    float p[N_PARAMS], g[N_PARAMS];
    worked_tensors(t);
    worked_theta(opt);
    worked_params(t, p);
    lopt_state *state = create_state(opt, t, N_TENSORS);
    for (int step = 0; step < 3; step++) {
        worked_grads(t, step, g);
        lopt_step(opt, state, p, g, 1, NULL);
    }
    for (int i = 0; i < n; i++) {
        const float *x = p;
        for (int k = 0; k < expected[i].tensor; k++) x += lopt_tensor_size(&t[k]);
        int64_t size = lopt_tensor_size(&t[expected[i].tensor]);
        double sum = 0;
        for (int64_t k = 0; k < size; k++) sum += fabs((double)x[k]);
        for (int64_t k = 0; k < size && k < 4; k++)
            cr_assert(fabs(x[k] - expected[i].first[k]) < 5e-7, "tensor %s, element %d: %.8f, not %.8f",
                      t[expected[i].tensor].name, (int)k, x[k], expected[i].first[k]);
        cr_assert(fabs(sum - expected[i].sum) < 1e-6, "tensor %s: sum %.8f, not %.8f", t[expected[i].tensor].name, sum,
                  expected[i].sum);
    }
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* ---- worked numbers of the learned optimizer -------------------------------------------------------- */

Test(small_fc, worked_numbers_of_the_jax_form) {
    static const worked expected[] = {
        {0, {0.25180840, 0.29707074, 0.20230679, 0.01202471}, 2.9497490},
        {1, {0.27226681, 0.12792446, -0.07692846, -0.24575040}, 2.9732884},
        {2, {0.04204679, -0.15921642, -0.28574616, -0.27807596}, 9.0944936},
        {3, {-0.22730634, -0.30024251, -0.23209493, -0.05531160}, 0.9624962},
        {4, {-0.28794283}, 0.2879428},
    };
    check_worked(create("small-fc", NULL, 0), expected, 5);
}

Test(small_fc, worked_numbers_of_the_pylo_form) {
    static const worked expected[] = {
        {0, {0.27004269, 0.45763463, 0.35542944, 0.01510747}, 2.8255521},
        {1, {0.32776469, 0.31432807, 0.00881011, -0.15677458}, 2.8435510},
        {2, {0.15232565, 0.04278013, -0.19420752, -0.16456558}, 7.6724498},
        {3, {-0.13022637, -0.27435839, -0.14102513, 0.02807549}, 0.7026688},
    };
    lopt_setting settings[] = {{"weight_decay", "0.1"}};
    check_worked(create("small-fc-pylo", settings, 1), expected, 4);
}

/* ---- hand-designed optimizers against their textbook ------------------------------------------------- */

#define N 7

typedef struct textbook {
    double p[N], m[N], v[N];
} textbook;

static void start_textbook(textbook *book, float *p) {
    *book = (textbook){0};
    waves(p, N, 1, 0.7, 0.1);
    for (int i = 0; i < N; i++) book->p[i] = p[i];
}

static void check_textbook(const textbook *book, const float *p, double tolerance) {
    for (int i = 0; i < N; i++)
        cr_assert(fabs(p[i] - book->p[i]) < tolerance, "element %d: %.8f, not %.8f", i, p[i], book->p[i]);
}

static void run_textbook(lopt_optimizer *opt, void (*rule)(textbook *book, const float *g, int t), double tolerance) {
    textbook book;
    float p[N], g[N];
    lopt_tensor t = lopt_tensor_make("x", 1, (int64_t[]){N});
    lopt_state *state = create_state(opt, &t, 1);
    start_textbook(&book, p);
    for (int step = 0; step < 50; step++) {
        waves(g, N, 0.3, 1.1, 0.4 * step);
        lopt_step(opt, state, p, g, 0, NULL);
        rule(&book, g, step + 1);
        check_textbook(&book, p, tolerance);
    }
    cr_assert(lopt_state_step(state) == 50);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

static void sgd_rule(textbook *b, const float *g, int t) {
    (void)t;
    for (int i = 0; i < N; i++) b->p[i] -= 0.01 * g[i];
}

static void sgdm_rule(textbook *b, const float *g, int t) {
    (void)t;
    for (int i = 0; i < N; i++) {
        b->m[i] = g[i] + 0.9 * b->m[i];
        b->p[i] -= 0.01 * b->m[i];
    }
}

static void adam_like(textbook *b, const float *g, int t, double rate, double root, double decay) {
    for (int i = 0; i < N; i++) {
        b->m[i] = 0.9 * b->m[i] + 0.1 * g[i];
        b->v[i] = 0.999 * b->v[i] + 0.001 * g[i] * g[i];
        double m = b->m[i] / (1 - pow(0.9, t)), v = b->v[i] / (1 - pow(0.999, t));
        b->p[i] -= rate * (m / (sqrt(v + root) + 1e-8) + decay * b->p[i]);
    }
}

static void adam_rule(textbook *b, const float *g, int t) {
    adam_like(b, g, t, 0.01, 1e-8, 0);
}

static void adamw_rule(textbook *b, const float *g, int t) {
    adam_like(b, g, t, 0.001, 0, 1e-4);
}

Test(hand_designed, sgd) {
    run_textbook(create("sgd", NULL, 0), sgd_rule, 1e-6);
}

Test(hand_designed, sgd_with_momentum) {
    run_textbook(create("sgdm", NULL, 0), sgdm_rule, 2e-6);
}

Test(hand_designed, adam) {
    run_textbook(create("adam", NULL, 0), adam_rule, 3e-6);
}

Test(hand_designed, adamw) {
    run_textbook(create("adamw", NULL, 0), adamw_rule, 1e-6);
}

/* ---- settings ------------------------------------------------------------------------------------ */

Test(settings, every_preset_is_created_and_reads_back) {
    const lopt_preset_info *info;
    for (size_t i = 0; (info = lopt_preset(i)); i++) {
        lopt_optimizer *opt = create(info->name, NULL, 0);
        cr_assert(lopt_info(opt) == info);
        cr_assert((lopt_n_theta(opt) > 0) == info->learned, "%s", info->name);
        lopt_hyper_info h;
        for (size_t k = 0; lopt_hyper(info->name, k, &h); k++) {
            char text[300], again[300];
            cr_assert(lopt_get(opt, h.name, text, sizeof text) && text[0], "%s %s", info->name, h.name);
            lopt_setting setting = {h.name, text};
            lopt_optimizer *copy = create(info->name, &setting, 1);
            lopt_get(copy, h.name, again, sizeof again);
            cr_assert_str_eq(text, again);
            for (int e = 0; e < h.count; e++)
                cr_assert(lopt_get_number(opt, h.name, e) == lopt_get_number(copy, h.name, e));
            lopt_destroy(copy);
        }
        lopt_destroy(opt);
    }
    cr_assert(lopt_n_presets() > 6 && !lopt_preset(lopt_n_presets()));
}

Test(settings, a_number_reads_back_as_the_same_double) {
    const double numbers[] = {0.1, 1e-3, 0.15216392, (double)0.1f, 1.0 / 3};
    for (int i = 0; i < 5; i++) {
        char text[64], again[64];
        snprintf(text, sizeof text, "%.17g", numbers[i]);
        lopt_setting setting = {"step_mult", text};
        lopt_optimizer *opt = create("small-fc", &setting, 1);
        cr_assert(lopt_get_number(opt, "step_mult", 0) == numbers[i]);
        cr_assert(lopt_get(opt, "step_mult", again, sizeof again) && strtod(again, NULL) == numbers[i]);
        lopt_destroy(opt);
    }
}

Test(settings, bad_ones_get_a_sentence) {
    static const struct {
        const char *preset, *name, *value, *says;
    } bad[] = {
        {"small-fc", "hidden_sise", "4",
         "optimizer small-fc has no setting \"hidden_sise\" (did you mean hidden_size?): "
         "`metatrain show optimizer small-fc` prints all"},
        {"small-fc", "hidden_size", "-3", "hidden_size is \"-3\", expected an integer from 1 to 1024"},
        {"small-fc", "hidden_size", "4.5", "expected an integer"},
        {"small-fc", "hidden_size", "0x10", "expected an integer"},
        {"small-fc", "hidden_size", "", "expected an integer"},
        {"small-fc", "hidden_size", "8 9", "expected an integer"},
        {"small-fc", "step_mult", "nan", "expected a number from 0 to 1000000"},
        {"small-fc", "step_mult", "1e99", "expected a number"},
        {"small-fc", "step_mult", "0.1x", "expected a number"},
        {"small-fc", "momentum_decays", "[0.9, 0.99]", "expected a list of 3: each a number from 0 to 1"},
        {"small-fc", "momentum_decays", "[0.9, 0.99, 0.999", "expected a list of 3"},
        {"small-fc", "momentum_decays", "0.9", "expected a list of 3"},
        {"small-fc", "weight_decay_uses", "befor", "expected one of before|after"},
        {"small-fc", "nan_to_num", "maybe", "expected true or false"},
        {"adam", "momentum", "0.9", "optimizer adam has no setting \"momentum\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lopt_error err = {0};
        lopt_setting setting = {bad[i].name, bad[i].value};
        cr_assert(!lopt_create(bad[i].preset, &setting, 1, &err), "%s=%s", bad[i].name, bad[i].value);
        cr_assert(err.status != LOPT_OK && strstr(err.text, bad[i].says), "\"%s\" lacks \"%s\"", err.text, bad[i].says);
    }
    lopt_error err = {0};
    cr_assert(!lopt_create("adaam", NULL, 0, &err) && err.status == LOPT_EUNKNOWN);
    cr_assert_str_eq(err.text, "there is no optimizer \"adaam\" (did you mean adam?): "
                               "`metatrain list optimizers` prints all");
    cr_assert(!lopt_create("adaam", NULL, 0, NULL));
}

Test(settings, numbers_are_written_as_people_do) {
    static const char *const texts[] = {"100", "10000", "0.001", "1e-05", "1e+06", "0.1", "123456.7", "3"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[64];
        lopt_optimizer *opt = create("small-fc", (lopt_setting[]){{"step_mult", texts[i]}}, 1);
        cr_assert(lopt_get(opt, "step_mult", text, sizeof text));
        cr_assert_str_eq(text, texts[i]);
        lopt_destroy(opt);
    }
}

Test(settings, unknown_names_read_as_nothing) {
    lopt_optimizer *opt = create("adam", NULL, 0);
    char text[8] = "x";
    cr_assert(!lopt_get(opt, "hidden_size", text, sizeof text) && !text[0]);
    cr_assert(isnan(lopt_get_number(opt, "hidden_size", 0)) && isnan(lopt_get_number(opt, "beta1", 1)));
    lopt_destroy(opt);
}

/* ---- theta ---------------------------------------------------------------------------------------- */

Test(theta, blocks_of_small_fc) {
    lopt_setting settings[] = {{"hidden_size", "32"}, {"hidden_layers", "3"}};
    lopt_optimizer *opt = create("small-fc", settings, 2);
    static const struct {
        const char *name;
        int rank;
        int64_t dim[2];
    } expected[] = {{"w0", 2, {39, 32}},         {"b0", 1, {32}},        {"w1", 2, {32, 32}},         {"b1", 1, {32}},
                    {"w2", 2, {32, 32}},         {"b2", 1, {32}},        {"w3", 2, {32, 2}},          {"b3", 1, {2}},
                    {"momentum_decays", 1, {3}}, {"rms_decays", 1, {1}}, {"adafactor_decays", 1, {3}}};
    size_t offset = 0, n = sizeof expected / sizeof expected[0];
    cr_assert(lopt_n_blocks(opt) == n && !lopt_block_at(opt, n) && !lopt_block_find(opt, "w4"));
    for (size_t i = 0; i < n; i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        cr_assert_str_eq(b->name, expected[i].name);
        cr_assert(b == lopt_block_find(opt, b->name) && b->rank == expected[i].rank);
        cr_assert(b->dim[0] == expected[i].dim[0] && (b->rank == 1 || b->dim[1] == expected[i].dim[1]));
        cr_assert(b->offset == offset);
        offset += b->size;
    }
    cr_assert(lopt_n_theta(opt) == offset);
    lopt_destroy(opt);
    opt = create("elo", NULL, 0);
    cr_assert(lopt_n_theta(opt) == 2402 && !lopt_block_find(opt, "rms_decays"));
    lopt_destroy(opt);
}

Test(theta, the_initial_one_is_a_function_of_the_seed) {
    lopt_optimizer *opt = create("small-fc-pylo", NULL, 0);
    size_t n = lopt_n_theta(opt);
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    lopt_init_theta(opt, 7, a);
    lopt_init_theta(opt, 7, b);
    cr_assert(memcmp(a, b, n * sizeof *a) == 0);
    lopt_init_theta(opt, 8, b);
    cr_assert(memcmp(a, b, n * sizeof *a) != 0);

    const lopt_block *w0 = lopt_block_find(opt, "w0");
    double limit = 2 / sqrt(39.0), square = 0;
    for (size_t i = 0; i < w0->size; i++) {
        cr_assert(fabs(a[w0->offset + i]) <= limit + 1e-6);
        square += (double)a[w0->offset + i] * a[w0->offset + i];
    }
    double deviation = sqrt(square / (double)w0->size) * sqrt(39.0); /* 0.88 in expectation */
    cr_assert(deviation > 0.82 && deviation < 0.94, "%g", deviation);
    cr_assert(a[lopt_block_find(opt, "b1")->offset] == 0);
    cr_assert(a[lopt_block_find(opt, "adafactor_decays")->offset + 1] == -0.10864615f);
    free(a);
    free(b);
    lopt_destroy(opt);
}

Test(theta, a_clone_has_its_own) {
    lopt_optimizer *opt = create("small-fc", NULL, 0);
    set_initial_theta(opt, 3);
    lopt_optimizer *copy = lopt_clone(opt);
    cr_assert(memcmp(lopt_theta(opt), lopt_theta(copy), lopt_n_theta(opt) * sizeof(float)) == 0);
    set_initial_theta(opt, 4);
    cr_assert(memcmp(lopt_theta(opt), lopt_theta(copy), lopt_n_theta(opt) * sizeof(float)) != 0);
    lopt_destroy(opt);
    lopt_tensor t = lopt_tensor_make("x", 0, NULL);
    lopt_state *state = create_state(copy, &t, 1);
    float p = 1, g = 1;
    lopt_step(copy, state, &p, &g, 0, NULL);
    cr_assert(isfinite(p) && p != 1);
    lopt_state_destroy(state);
    lopt_destroy(copy);
}

/* ---- state ---------------------------------------------------------------------------------------- */

/* Steps from..to of the worked gradients. */
static void run_steps(const lopt_optimizer *opt, lopt_state *state, const lopt_tensor *t, int from, int to, float *p) {
    float g[N_PARAMS];
    for (int step = from; step < to; step++) {
        worked_grads(t, step, g);
        lopt_step(opt, state, p, g, 1.0f / (float)(step + 1), NULL);
    }
}

Test(state, a_copy_goes_on_as_the_original) {
    const lopt_preset_info *info;
    for (size_t i = 0; (info = lopt_preset(i)); i++) {
        lopt_optimizer *opt = create(info->name, NULL, 0);
        set_initial_theta(opt, 5);
        lopt_tensor t[N_TENSORS];
        worked_tensors(t);
        float p[N_PARAMS], q[N_PARAMS];
        worked_params(t, p);
        lopt_state *a = create_state(opt, t, N_TENSORS), *b = create_state(opt, t, N_TENSORS);
        lopt_state_reset(opt, a, 20);
        run_steps(opt, a, t, 0, 4, p);
        size_t n, m;
        void *from = lopt_state_data(a, &n), *to = lopt_state_data(b, &m);
        cr_assert(n == m);
        memcpy(to, from, n);
        memcpy(q, p, sizeof p);
        run_steps(opt, a, t, 4, 9, p);
        run_steps(opt, b, t, 4, 9, q);
        cr_assert(memcmp(p, q, sizeof p) == 0, "%s", info->name);
        cr_assert(lopt_state_step(b) == 9);

        lopt_state_reset(opt, a, 20);
        lopt_state_reset(opt, b, 20);
        cr_assert(memcmp(from, to, n) == 0 && lopt_state_step(a) == 0, "%s", info->name);
        lopt_state_destroy(a);
        lopt_state_destroy(b);
        lopt_destroy(opt);
    }
}

Test(state, bad_shapes_get_a_sentence) {
    lopt_optimizer *opt = create("adam", NULL, 0);
    lopt_error err = {0};
    lopt_tensor t = lopt_tensor_make("w", 2, (int64_t[]){3, 0});
    cr_assert(!lopt_state_create(opt, &t, 1, &err) && err.status == LOPT_ESHAPE);
    cr_assert(strstr(err.text, "axis 1 of tensor \"w\" has 0 elements"), "%s", err.text);
    t = lopt_tensor_make("w", 1, (int64_t[]){3});
    t.rank = 5;
    cr_assert(!lopt_state_create(opt, &t, 1, &err) && strstr(err.text, "has 5 axes"), "%s", err.text);
    t = lopt_tensor_make("w", 3, (int64_t[]){INT64_MAX, INT64_MAX, 4});
    cr_assert(!lopt_state_create(opt, &t, 1, &err) && strstr(err.text, "more than 2^40"), "%s", err.text);
    lopt_destroy(opt);
}

/* ---- properties of a step -------------------------------------------------------------------------- */

Test(step, permuting_tensors_permutes_updates) {
    static const char *const presets[] = {"small-fc", "elo", "adam", "sgdm"};
    for (int i = 0; i < 4; i++) {
        lopt_optimizer *opt = create(presets[i], NULL, 0);
        set_initial_theta(opt, 2);
        lopt_tensor t[N_TENSORS], reversed[N_TENSORS];
        worked_tensors(t);
        float p[N_PARAMS], g[N_PARAMS], u[N_PARAMS], pr[N_PARAMS], gr[N_PARAMS], ur[N_PARAMS];
        worked_params(t, p);
        worked_grads(t, 1, g);
        size_t at = 0, end = N_PARAMS;
        for (int k = 0; k < N_TENSORS; k++) {
            size_t n = (size_t)lopt_tensor_size(&t[k]);
            reversed[N_TENSORS - 1 - k] = t[k];
            end -= n;
            memcpy(pr + end, p + at, n * sizeof *p);
            memcpy(gr + end, g + at, n * sizeof *g);
            at += n;
        }
        lopt_state *a = create_state(opt, t, N_TENSORS), *b = create_state(opt, reversed, N_TENSORS);
        lopt_step(opt, a, p, g, 0, u);
        lopt_step(opt, b, pr, gr, 0, ur);
        at = 0;
        end = N_PARAMS;
        for (int k = 0; k < N_TENSORS; k++) {
            size_t n = (size_t)lopt_tensor_size(&t[k]);
            end -= n;
            cr_assert(memcmp(ur + end, u + at, n * sizeof *u) == 0, "%s, tensor %d", presets[i], k);
            at += n;
        }
        lopt_state_destroy(a);
        lopt_state_destroy(b);
        lopt_destroy(opt);
    }
}

Test(step, updates_are_what_is_added) {
    const lopt_preset_info *info;
    for (size_t i = 0; (info = lopt_preset(i)); i++) {
        lopt_optimizer *opt = create(info->name, NULL, 0);
        set_initial_theta(opt, 2);
        lopt_tensor t[N_TENSORS];
        worked_tensors(t);
        float p[N_PARAMS], old[N_PARAMS], g[N_PARAMS], u[N_PARAMS];
        worked_params(t, p);
        memcpy(old, p, sizeof p);
        worked_grads(t, 0, g);
        lopt_state *state = create_state(opt, t, N_TENSORS);
        lopt_state_reset(opt, state, 10);
        lopt_step(opt, state, p, g, 1, u);
        for (int k = 0; k < N_PARAMS; k++)
            cr_assert(fabs(p[k] - (old[k] + u[k])) <= 1e-7, "%s, element %d: %g + %g gave %g", info->name, k, old[k],
                      u[k], p[k]);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
}

/* Updates of two 4x4 tensors after one step. */
static void two_matrices(const char *preset, const lopt_setting *settings, size_t n, lopt_tensor t[2], float scale,
                         float u[32]) {
    float p[32], g[32];
    lopt_optimizer *opt = create(preset, settings, n);
    worked_theta(opt);
    waves(p, 16, 0.3, 0.7, 1);
    waves(g, 16, scale, 0.9, 0);
    memcpy(p + 16, p, 16 * sizeof *p);
    memcpy(g + 16, g, 16 * sizeof *g);
    lopt_state *state = create_state(opt, t, 2);
    lopt_step(opt, state, p, g, 0, u);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

static void make_two(lopt_tensor t[2]) {
    t[0] = lopt_tensor_make("a", 2, (int64_t[]){4, 4});
    t[1] = lopt_tensor_make("b", 2, (int64_t[]){4, 4});
}

Test(step, tensors_have_their_own_rate_and_decay) {
    static const char *const presets[] = {"small-fc", "small-fc-pylo", "elo", "adam", "sgd"};
    for (int i = 0; i < 5; i++) {
        lopt_tensor t[2];
        float u[32], decayed[32];
        make_two(t);
        t[1].lr_scale = 0.25f;
        two_matrices(presets[i], NULL, 0, t, 0.05f, u);
        for (int k = 0; k < 16; k++)
            cr_assert(fabs(u[16 + k] - 0.25 * u[k]) <= 1e-6 * fabs(u[k]) + 1e-12, "%s", presets[i]);
        t[1].lr_scale = 1;
        t[1].weight_decay = 0.5f;
        two_matrices(presets[i], NULL, 0, t, 0.05f, decayed);
        lopt_optimizer *opt = create(presets[i], NULL, 0);
        double rate = lopt_get_number(opt, "learning_rate", 0);
        int after = lopt_get_number(opt, "weight_decay_uses", 0) == 1;
        lopt_destroy(opt);
        for (int k = 0; k < 16; k++) {
            double p = (float)(0.3 * sin(0.7 * k + 1)), expected = decayed[k];
            expected -= 0.5 * rate * (after ? p + decayed[k] : p);
            cr_assert(fabs(decayed[16 + k] - expected) <= 1e-6 * fabs(expected) + 1e-10, "%s", presets[i]);
        }
    }
}

Test(step, clipping_makes_large_gradients_alike) {
    lopt_tensor t[2];
    float small[32], large[32], free_large[32];
    make_two(t);
    static const char *const names[] = {"clip_norm", "max_grad_norm"};
    for (int i = 0; i < 2; i++) {
        lopt_setting clip = {names[i], "0.01"};
        two_matrices("small-fc", &clip, 1, t, 1, small);
        two_matrices("small-fc", &clip, 1, t, 100, large);
        two_matrices("small-fc", NULL, 0, t, 100, free_large);
        double difference = 0;
        for (int k = 0; k < 32; k++) {
            cr_assert(fabs(small[k] - large[k]) <= 2e-3 * fabs(small[k]) + 1e-9, "%s", names[i]);
            difference = fmax(difference, fabs(large[k] - free_large[k]) / fabs(large[k]));
        }
        cr_assert(difference > 0.01, "%s", names[i]);
    }
}

static int n_not_finite(const float *x, int n) {
    int count = 0;
    for (int i = 0; i < n; i++) count += !isfinite(x[i]);
    return count;
}

Test(step, a_gradient_that_is_nan_shows) {
    lopt_tensor t[2];
    make_two(t);
    for (int replaced = 0; replaced < 2; replaced++) {
        float p[32], g[32], u[32];
        lopt_setting setting = {"nan_to_num", replaced ? "true" : "false"};
        lopt_optimizer *opt = create("small-fc", &setting, 1);
        set_initial_theta(opt, 1);
        waves(p, 32, 0.3, 0.7, 1);
        waves(g, 32, 0.3, 0.9, 1);
        g[3] = NAN;
        lopt_state *state = create_state(opt, t, 2);
        lopt_step(opt, state, p, g, 0, u);
        cr_assert(n_not_finite(u, 16) == (replaced ? 0 : 16), "%d", n_not_finite(u, 16));
        cr_assert(n_not_finite(u + 16, 16) == 0);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
}

Test(step, the_tie_rule_concerns_square_matrices) {
    lopt_setting setting = {"tie_rule", "pylo-velo"};
    for (int columns = 4; columns <= 8; columns += 4) {
        lopt_tensor t = lopt_tensor_make("a", 2, (int64_t[]){4, columns});
        float stable[32], tied[32], p[32], g[32];
        for (int k = 0; k < 2; k++) {
            lopt_optimizer *opt = create("small-fc", &setting, (size_t)k);
            worked_theta(opt);
            waves(p, 32, 0.3, 0.7, 1);
            waves(g, 32, 0.3, 0.9, 1);
            lopt_state *state = create_state(opt, &t, 1);
            lopt_step(opt, state, p, g, 0, k ? tied : stable);
            lopt_state_destroy(state);
            lopt_destroy(opt);
        }
        cr_assert((memcmp(stable, tied, 16 * sizeof(float)) == 0) == (columns == 8), "4 x %d", columns);
    }
}

/* ---- no allocation in a step ------------------------------------------------------------------------- */

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
static long n_allocations;

void *malloc(size_t n) {
    n_allocations++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    n_allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t n) {
    n_allocations++;
    return __libc_realloc(old, n);
}

void *aligned_alloc(size_t alignment, size_t n) {
    n_allocations++;
    return __libc_memalign(alignment, n);
}

Test(step, does_not_allocate) {
    const lopt_preset_info *info;
    for (size_t i = 0; (info = lopt_preset(i)); i++) {
        lopt_optimizer *opt = create(info->name, NULL, 0);
        set_initial_theta(opt, 2);
        lopt_tensor t[N_TENSORS];
        worked_tensors(t);
        float p[N_PARAMS], g[N_PARAMS];
        worked_params(t, p);
        worked_grads(t, 0, g);
        lopt_state *state = create_state(opt, t, N_TENSORS);
        cr_assert(n_allocations > 0); /* the counter counts */
        long before = n_allocations;
        lopt_state_reset(opt, state, 10);
        lopt_set_theta(opt, lopt_theta(opt));
        for (int k = 0; k < 3; k++) lopt_step(opt, state, p, g, 1, NULL);
        cr_assert(n_allocations == before, "%s: %ld allocations", info->name, n_allocations - before);
        lopt_state_destroy(state);
        lopt_destroy(opt);
    }
}
#endif
