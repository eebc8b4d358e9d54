/* SPDX-License-Identifier: Apache-2.0
 *
 * NNAdam against worked numbers (worked.h). */
#include "worked.h"

static const worked_block theta[] = {
    {"lstm_init_state/hidden", 0.1, 0.1},
    {"lstm_init_state/cell", 0.1, 0.2},
    {"rnn_params/rnn/linear/w", 0.3, 5},
    {"rnn_params/rnn/linear/b", 0.1, 6},
    {"rnn_to_controls_params/rnn_to_controls/w", 3, 7},
    {"rnn_to_controls_params/rnn_to_controls/b", 1, 8},
};

Test(nn_adam, worked_numbers) {
    static const worked_case expected = {3,
                                         5e-7,
                                         1e-6,
                                         1,
                                         {{0, {0.25163776, 0.29618669, 0.20139155, 0.01204299}, 2.9459928},
                                          {1, {0.27153108, 0.12691593, -0.07781373, -0.24519981}, 2.9639416},
                                          {2, {0.04102098, -0.16024716, -0.28641573, -0.27651224}, 9.0924156},
                                          {3, {-0.22832467, -0.30119967, -0.23227070, -0.05338560}, 0.9646857},
                                          {4, {-0.28904843}, 0.2890484}}};
    lopt_optimizer *opt = worked_create("nn-adam", (lopt_setting[]){{"lstm_hidden_size", "8"}}, 1);
    worked_theta(opt, theta, 6);
    worked_check(opt, &expected);
    lopt_destroy(opt);
}

/* ---- the four hyperparameters ---------------------------------------------------------------- */

/* Where a state keeps them: after 64 bytes of header, four for each tensor (lr, beta1, beta2,
 * epsilon). */
static const float *scaled_hypers(lopt_state *state) {
    size_t n;
    return (const float *)((const char *)lopt_state_data(state, &n) + 64);
}

/* The hyperparameters of the first n tensors after three steps. */
static void check_hypers(float gradients, const double expected[][4], int n) {
    static const double tolerance[4] = {2e-6, 2e-6, 1e-5, 2e-6}; /* 1 - beta2 has few digits */
    lopt_optimizer *opt = worked_create("nn-adam", (lopt_setting[]){{"lstm_hidden_size", "8"}}, 1);
    worked_theta(opt, theta, 6);
    lopt_tensor t[WORKED_TENSORS];
    float p[WORKED_PARAMS], g[WORKED_PARAMS];
    lopt_error err = {0};
    worked_tensors(t);
    worked_params(t, p);
    lopt_state *state = lopt_state_create(opt, t, WORKED_TENSORS, &err);
    cr_assert(state, "%s", err.text);
    for (int step = 0; step < 3; step++) {
        worked_scaled_grads(t, step, gradients, g);
        lopt_step(opt, state, p, g, worked_losses[step], NULL);
    }
    for (int k = 0; k < n; k++)
        for (int i = 0; i < 4; i++) {
            double found = (double)scaled_hypers(state)[4 * k + i];
            cr_assert(fabs(found - expected[k][i]) < tolerance[i], "tensor %s, %d: %.7f, not %.7f", t[k].name, i, found,
                      expected[k][i]);
        }
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

Test(nn_adam, worked_hyperparameters) {
    static const double expected[][4] = {{-0.9123513, -0.2241461, -0.6880603, -1.8431185}};
    /* Features that saturate with gradients of 0.05 do not with these. */
    static const double large[][4] = {{-0.9168311, -0.2265445, -0.6880544, -1.8407057},
                                      {-0.9001240, -0.2042436, -0.6631782, -1.8166210},
                                      {-0.9097833, -0.2188674, -0.6807871, -1.8348318},
                                      {-0.9175806, -0.2276737, -0.6894105, -1.8421052},
                                      {-0.9147468, -0.2305065, -0.6975265, -1.8544059}};
    check_hypers(1, expected, 1);
    check_hypers(100, large, WORKED_TENSORS);
}

/* A fresh theta has controls of 0: Adam without bias correction, its hyperparameters where they
 * were. */
Test(nn_adam, a_fresh_theta_is_adam) {
    lopt_setting settings[] = {{"initial_learning_rate", "0.01"}, {"initial_epsilon", "0.001"}};
    lopt_optimizer *opt = worked_create("nn-adam", settings, 2);
    float *fresh = malloc(lopt_n_theta(opt) * sizeof *fresh);
    lopt_init_theta(opt, 3, fresh);
    lopt_set_theta(opt, fresh);
    lopt_tensor t = lopt_tensor_make("x", 1, (int64_t[]){1});
    lopt_error err = {0};
    lopt_state *state = lopt_state_create(opt, &t, 1, &err);
    float p = 0.5f;
    double expected = 0.5, m = 0, v = 0;
    for (int step = 0; step < 20; step++) {
        float g = step == 7 ? 5000.0f : 0.1f * (float)(step % 5 - 1);
        double clipped = g > 1000 ? 1000 : (double)g;
        m = 0.9 * m + 0.1 * clipped;
        v = 0.999 * v + 0.001 * clipped * clipped;
        expected -= 0.01 * 1.001 / (0.001 + sqrt(v + 1e-10)) * m;
        lopt_step(opt, state, &p, &g, 1, NULL);
    }
    cr_assert(fabs((double)p - expected) < 1e-5, "%.7f, not %.7f", (double)p, expected);
    for (int i = 0; i < 4; i++)
        cr_assert(fabsf(scaled_hypers(state)[i] - fresh[lopt_n_theta(opt) - 4 + (size_t)i]) < 1e-4f, "%d", i);
    free(fresh);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

/* With decay_strength 1 the hyperparameters are back after every step, whatever the network says.
 * */
Test(nn_adam, decay_strength_pulls_back) {
    lopt_setting settings[] = {{"lstm_hidden_size", "8"}, {"decay_strength", "1"}, {"output_scale", "0.1"}};
    lopt_optimizer *opt = worked_create("nn-adam", settings, 3);
    worked_theta(opt, theta, 6);
    lopt_tensor t[WORKED_TENSORS];
    float p[WORKED_PARAMS], g[WORKED_PARAMS];
    lopt_error err = {0};
    worked_tensors(t);
    worked_params(t, p);
    lopt_state *state = lopt_state_create(opt, t, WORKED_TENSORS, &err);
    worked_grads(t, 0, g);
    for (int step = 0; step < 5; step++) lopt_step(opt, state, p, g, 1, NULL);
    for (int i = 0; i < 4 * WORKED_TENSORS; i++)
        cr_assert(fabsf(scaled_hypers(state)[i] - lopt_theta(opt)[lopt_n_theta(opt) - 4 + (size_t)(i % 4)]) < 1e-4f,
                  "%d", i);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}
