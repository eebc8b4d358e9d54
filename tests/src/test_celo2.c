/* SPDX-License-Identifier: Apache-2.0
 *
 * Celo2 in its forms, against worked numbers of an independent transcription of the formulas.
 * Recorded runs of PyLO are test_replay.sh's. */
#include "worked.h"

enum { N_STEPS = 3 };

/* One wave over the first layer [30][8], cut into its 14 groups, then the other layers. */
static void set_theta(lopt_optimizer *opt) {
    enum { FEATURES = 30, HIDDEN = 8, GROUPS = 14 };
    static const worked_block blocks[] = {{"ff_mod_stack/b0", 0.1, 0.5},
                                          {"ff_mod_stack/w1", 0.5, 1},
                                          {"ff_mod_stack/b1", 0.1, 1.5},
                                          {"ff_mod_stack/w2", 0.5, 2},
                                          {"ff_mod_stack/b2", 0.1, 2.5}};
    float wave[FEATURES * HIDDEN], *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    char name[48];
    worked_theta(opt, blocks, 5);
    memcpy(theta, lopt_theta(opt), lopt_n_theta(opt) * sizeof *theta);
    worked_waves(wave, FEATURES * HIDDEN, 0.5, 0.37, 0);
    for (int i = 0, first = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "ff_mod_stack/w0__%d", i);
        const lopt_block *b = lopt_block_find(opt, name);
        memcpy(theta + b->offset, wave + first * HIDDEN, b->size * sizeof *theta);
        first += (int)b->dim[0];
    }
    lopt_set_theta(opt, theta);
    free(theta);
}

static lopt_optimizer *create(const char *preset, const lopt_setting *more, size_t n_more) {
    lopt_setting settings[8] = {{"learning_rate", "0.01"}, {"weight_decay", "0.1"}};
    for (size_t i = 0; i < n_more; i++) settings[2 + i] = more[i];
    lopt_optimizer *opt = worked_create(preset, settings, 2 + n_more);
    set_theta(opt);
    return opt;
}

static void check(lopt_optimizer *opt, const worked_case *c) {
    worked_check(opt, c);
    cr_assert(lopt_kernels_use("reference", NULL) == LOPT_OK);
    worked_check(opt, c);
    lopt_destroy(opt);
}

#define VECTORS                                                                                                        \
    {3, {-0.22860309, -0.30042520, -0.24589315, -0.09552305}, 0.9683664}, {                                            \
        4, {-0.31678504}, 0.3167850                                                                                    \
    }

Test(celo2, worked_numbers_of_the_base) {
    static const worked_case c = {N_STEPS,
                                  5e-7,
                                  1e-6,
                                  1,
                                  {{0, {0.21846516, 0.27314764, 0.18076494, -0.00910345}, 2.9537802},
                                   {1, {0.24633631, 0.10618233, -0.08684082, -0.27352890}, 3.0905062},
                                   {2, {0.02888090, -0.17145196, -0.29173386, -0.31294185}, 8.9401971},
                                   VECTORS}};
    check(create("celo2-base", NULL, 0), &c);
}

/* Tensors with fewer than two axes are not orthogonalised. */
Test(celo2, worked_numbers_of_orthogonal_steps) {
    static const worked_case c = {N_STEPS,
                                  2e-6,
                                  5e-6,
                                  1,
                                  {{0, {0.24236102, 0.30234835, 0.19015040, -0.00697988}, 3.0559956},
                                   {1, {0.27446368, 0.09603734, -0.04122008, -0.28739166}, 3.0682125},
                                   {2, {0.03766146, -0.16948186, -0.25684991, -0.32646787}, 9.2440430},
                                   VECTORS}};
    check(create("celo2-base", (lopt_setting[]){{"orthogonalize", "true"}}, 1), &c);
}

/* Three steps of tensor D alone, by that name. */
static void train_vector(const lopt_optimizer *opt, const char *name, float *p) {
    lopt_tensor all[WORKED_TENSORS];
    float params[WORKED_PARAMS], grads[WORKED_PARAMS];
    const size_t offset = 15 + 16 + 48;
    worked_tensors(all);
    lopt_tensor t = lopt_tensor_make(name, 1, all[3].dim);
    worked_params(all, params);
    memcpy(p, params + offset, 5 * sizeof *p);
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    cr_assert(state);
    for (int step = 0; step < N_STEPS; step++) {
        worked_grads(all, step, grads);
        lopt_step(opt, state, p, grads + offset, 1, NULL);
    }
    lopt_state_destroy(state);
}

static void check_vector(lopt_optimizer *opt, const char *name, const worked_result *expected) {
    static const worked_case c = {.element_tolerance = 5e-7, .sum_tolerance = 1e-6};
    lopt_tensor t = lopt_tensor_make(name, 1, (int64_t[]){5});
    float p[5];
    train_vector(opt, name, p);
    worked_check_tensor(&t, p, &c, expected);
    lopt_destroy(opt);
}

Test(celo2, adam_of_pylo) {
    static const worked_result expected = {3, {-0.25628278, -0.32806975, -0.24461243, -0.02514720}, 1.0317114};
    check_vector(create("celo2-pylo", NULL, 0), "anything", &expected);
}

Test(celo2, adam_of_the_jax_form_is_for_biases) {
    static const worked_result adam = {3, {-0.56175709, -0.61726403, -0.34052113, 0.28895089}, 2.2943855};
    static const worked_result network = {3, {-0.22860309, -0.30042520, -0.24589315, -0.09552305}, 0.9683664};
    check_vector(create("celo2", NULL, 0), "mlp/~/linear_0/b", &adam);
    check_vector(create("celo2", NULL, 0), "b12", &adam);
    check_vector(create("celo2", NULL, 0), "layer_norm/scale", &network);
    check_vector(create("celo2", NULL, 0), "bar", &network);
    lopt_setting named = {"adam_for", "named"};
    check_vector(create("celo2", &named, 1), "bias_1", &adam);
    check_vector(create("celo2", &named, 1), "b", &network);
}

/* One matrix "w" (6, 5) with a role; returns its first element after a step. */
static float step_matrix(const char *preset, const lopt_setting *setting, lopt_role role, int nan_at) {
    lopt_optimizer *opt = create(preset, setting, setting ? 1 : 0);
    lopt_tensor t = lopt_tensor_make("w", 2, (int64_t[]){6, 5});
    float p[30], g[30];
    t.role = role;
    worked_waves(p, 30, 0.3, 0.7, 1);
    worked_waves(g, 30, 0.05, 0.9, 0);
    if (nan_at >= 0) g[nan_at] = NAN;
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    cr_assert(state);
    lopt_step(opt, state, p, g, 1, NULL);
    lopt_step(opt, state, p, g, 1, NULL);
    lopt_state_destroy(state);
    lopt_destroy(opt);
    return p[0];
}

/* Embeddings go to Adam in both forms of PyLO, with own or shared moments. */
Test(celo2, embeddings_are_adams) {
    static const lopt_setting nothing = {"adam_for", "nothing"};
    const char *presets[] = {"celo2-pylo", "elo-celo2"};
    for (int i = 0; i < 2; i++) {
        float adam = step_matrix(presets[i], NULL, LOPT_ROLE_EMBEDDING, -1);
        float network = step_matrix(presets[i], NULL, LOPT_ROLE_WEIGHT, -1);
        cr_assert(fabsf(adam - network) > 1e-4f);
        cr_assert(step_matrix(presets[i], &nothing, LOPT_ROLE_EMBEDDING, -1) == network);
    }
}

Test(celo2, a_gradient_that_is_nan_shows) {
    cr_assert(isnan(step_matrix("celo2", NULL, LOPT_ROLE_WEIGHT, 17)));
    cr_assert(isnan(step_matrix("celo2-base", NULL, LOPT_ROLE_WEIGHT, 0)));
}

/* Steps of a matrix have root mean square rms_mult, whatever the gradient's size. */
Test(celo2, steps_have_the_asked_size) {
    lopt_setting settings[] = {{"weight_decay", "0"}, {"rms_mult", "0.25"}, {"learning_rate", "1"}};
    lopt_optimizer *opt = worked_create("celo2", settings, 3);
    lopt_tensor t = lopt_tensor_make("w", 3, (int64_t[]){2, 7, 20});
    float p[280] = {0}, g[280], u[280];
    set_theta(opt);
    for (int scale = 0; scale < 3; scale++) {
        lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
        worked_waves(g, 280, pow(10, 3 * scale - 4), 0.9, 0);
        lopt_step(opt, state, p, g, 1, u);
        for (int matrix = 0; matrix < 2; matrix++) {
            double sum = 0;
            for (int i = 0; i < 140; i++) sum += (double)u[matrix * 140 + i] * u[matrix * 140 + i];
            cr_assert(fabs(sqrt(sum / 140) - 0.25) < 1e-5, "scale %d: %g", scale, sqrt(sum / 140));
        }
        lopt_state_destroy(state);
    }
    lopt_destroy(opt);
}

Test(celo2, theta_of_all_forms) {
    const char *presets[] = {"celo2", "celo2-base", "celo2-pylo", "elo-celo2"};
    for (int i = 0; i < 4; i++) {
        lopt_optimizer *opt = worked_create(presets[i], NULL, 0);
        const lopt_block *b = lopt_block_find(opt, "ff_mod_stack/w2");
        cr_assert(lopt_n_theta(opt) == 347, "%s: %zu", presets[i], lopt_n_theta(opt));
        cr_assert(b && b->rank == 2 && b->dim[0] == 8 && b->dim[1] == 3);
        lopt_destroy(opt);
    }
}
