/* SPDX-License-Identifier: Apache-2.0
 *
 * muLO: the multipliers of muP, and the preset. */
#include "worked.h"

static void check_scale(int hidden, int64_t fan_in, int64_t base, float mult, double expected) {
    double found = (double)lopt_mup_lr_scale(hidden, fan_in, base, mult);
    cr_assert(fabs(found - expected) <= 1e-7 * expected, "fan-in %d: %g, not %g", (int)fan_in, found, expected);
}

Test(mulo, multipliers) {
    /* 784-1024-1024-10: only the weight between the hidden layers. */
    check_scale(0, 784, 1, 1, 1);
    check_scale(1, 1024, 1, 1, 1.0 / 1024);
    check_scale(0, 1024, 1, 1, 1);
    /* A transformer of d_model 256: projections, both weights of the MLP. */
    check_scale(1, 256, 1, 2, 2.0 / 256);
    check_scale(1, 4 * 256, 1, 2, 2.0 / 1024);
    /* From a base network of width 64: a weight of that width is as it was. */
    check_scale(1, 64, 64, 1, 1);
    check_scale(1, 256, 64, 1, 0.25);
}

/* First updates of a 6-12-12-3 perceptron, whose tensors say so if hidden_fan_in is not 0. */
static void first_step(const char *preset, const lopt_setting *settings, size_t n, int64_t hidden_fan_in, float *u) {
    lopt_tensor t[] = {lopt_tensor_make("w0", 2, (int64_t[]){6, 12}), lopt_tensor_make("w1", 2, (int64_t[]){12, 12}),
                       lopt_tensor_make("w2", 2, (int64_t[]){12, 3})};
    float p[72 + 144 + 36], g[72 + 144 + 36];
    t[1].hidden_fan_in = hidden_fan_in;
    lopt_optimizer *opt = worked_create(preset, settings, n);
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    lopt_init_theta(opt, 8, theta);
    lopt_set_theta(opt, theta);
    free(theta);
    worked_waves(p, 252, 0.3, 0.7, 0);
    worked_waves(g, 252, 0.1, 0.9, 0);
    if (lopt_get_number(opt, "nan_to_num", 0) == 1) g[5] = NAN;
    lopt_error err = {0};
    lopt_state *state = lopt_state_create(opt, t, 3, &err);
    cr_assert(state, "%s", err.text);
    lopt_step(opt, state, p, g, 1, u);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* Updates of the weight between the hidden layers are `mult` times those of u, others the same. */
static void check_middle(const float *u, const float *scaled, double mult) {
    for (int i = 0; i < 252; i++) {
        double expected = i >= 72 && i < 216 ? mult * (double)u[i] : (double)u[i];
        cr_assert(isfinite(u[i]) && fabs((double)scaled[i] - expected) <= 1e-6 * fabs((double)u[i]),
                  "parameter %d: %g, not %g", i, (double)scaled[i], expected);
    }
}

Test(mulo, is_small_fc_with_multipliers) {
    static const lopt_setting same[] = {{"hidden_size", "32"}, {"step_mult", "0.01"}, {"nan_to_num", "true"}};
    float u[252], scaled[252];
    first_step("small-fc", same, 3, 12, u);
    first_step("mulo", NULL, 0, 12, scaled);
    check_middle(u, scaled, 1.0 / 12);
    first_step("mulo", NULL, 0, 0, scaled); /* tensors that do not say */
    check_middle(u, scaled, 1);
    static const lopt_setting relative[] = {{"mup_base_fan_in", "6"}, {"mup_hidden_lr_mult", "0.5"}};
    first_step("mulo", relative, 2, 12, scaled);
    check_middle(u, scaled, 0.25);
}

/* Opponents of muLO take the same settings. */
Test(mulo, hand_designed_optimizers_and_velo_have_it_too) {
    static const char *const presets[] = {"adam", "adamw", "sgdm", "muon", "velo-s"};
    static const lopt_setting mup = {"mup_base_fan_in", "3"};
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        float u[252], scaled[252];
        first_step(presets[i], NULL, 0, 12, u);
        first_step(presets[i], &mup, 1, 12, scaled);
        check_middle(u, scaled, 0.25);
    }
}
