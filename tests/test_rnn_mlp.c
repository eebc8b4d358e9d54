/* SPDX-License-Identifier: Apache-2.0
 *
 * RNNMLPLOpt against worked numbers (worked.h). */
#include "worked.h"

static const worked_block theta[] = {
    {"lstm_init_state/hidden", 0.1, 0.1},
    {"lstm_init_state/cell", 0.1, 0.2},
    {"rnn_params/rnn/linear/w", 0.3, 5},
    {"rnn_params/rnn/linear/b", 0.1, 6},
    {"initial_from_lstm", 0.2, 0.3},
    {"initial_from_mlp", 0.2, 0.4},
    {"rnn_to_ff_params/rnn_to_ff/w", 0.3, 7},
    {"rnn_to_ff_params/rnn_to_ff/b", 0.1, 8},
    {"rnn_to_in_params/rnn_to_in/w", 0.3, 9},
    {"rnn_to_in_params/rnn_to_in/b", 0.1, 10},
    {"ffmod_params/mlp/~/linear_0/w", 0.5, 11},
    {"ffmod_params/mlp/~/linear_0/b", 0.1, 11.5},
    {"ffmod_params/mlp/~/linear_1/w", 0.5, 12},
    {"ffmod_params/mlp/~/linear_1/b", 0.1, 12.5},
    {"ffmod_params/mlp/~/linear_2/w", 0.5, 13},
    {"ffmod_params/mlp/~/linear_2/b", 0.1, 13.5},
};

Test(rnn_mlp, worked_numbers)
{
    static const worked_case expected = {
        3,
        2e-6,
        5e-6,
        1,
        {{0, {0.30905229, 0.30745709, 0.20786190, 0.03834243}, 2.9836107},
         {1, {0.30164862, 0.12855954, -0.07583578, -0.19789846}, 2.8509122},
         {2, {0.05084341, -0.15420300, -0.26630023, -0.19722515}, 9.4707593},
         {3, {-0.20620859, -0.27857584, -0.23207490, -0.02020147}, 0.9289575},
         {4, {-0.25349760}, 0.2534976}}};
    lopt_optimizer *opt = worked_create("rnn-mlp", (lopt_setting[]){{"lstm_hidden_size", "8"}}, 1);
    worked_theta(opt, theta, 16);
    worked_check(opt, &expected);
    lopt_destroy(opt);
}

/* What is clipped or saturates with gradients of 0.05 is not with these. */
Test(rnn_mlp, worked_numbers_for_large_gradients)
{
    static const worked_case expected = {
        3,
        4e-6,
        1e-5,
        100,
        {{0, {0.31779947, 0.31846870, 0.22134712, 0.03208264}, 2.9710556},
         {1, {0.30123587, 0.15029217, -0.07476253, -0.20098545}, 2.7127866},
         {2, {0.05517262, -0.13383999, -0.26203888, -0.17644198}, 9.3922654},
         {3, {-0.22289757, -0.29548109, -0.23175954, 0.01546042}, 1.0192216},
         {4, {-0.26749662}, 0.2674966}}};
    lopt_optimizer *opt = worked_create("rnn-mlp", (lopt_setting[]){{"lstm_hidden_size", "8"}}, 1);
    worked_theta(opt, theta, 16);
    worked_check(opt, &expected);
    lopt_destroy(opt);
}

/* ---- clipping -------------------------------------------------------------------------------- */

/* The update of the step after `done` steps with gradients of 0.05; only the first is large. */
static void update_after(int done, float large, float small, float u[3])
{
    lopt_optimizer *opt = worked_create("rnn-mlp", (lopt_setting[]){{"lstm_hidden_size", "8"}}, 1);
    worked_theta(opt, theta, 16);
    lopt_tensor t = lopt_tensor_make("x", 1, (int64_t[]){3});
    lopt_error err = {0};
    lopt_state *state = lopt_state_create(opt, &t, 1, &err);
    cr_assert(state, "%s", err.text);
    float p[3] = {0.1f, -0.2f, 0.3f};
    for (int step = 0; step < done; step++)
        lopt_step(opt, state, p, (float[]){0.05f, -0.05f, 0.05f}, 1, NULL);
    lopt_step(opt, state, p, (float[]){large, small, -small}, 1, u);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

Test(rnn_mlp, gradients_are_clipped_at_ten_times_their_running_size)
{
    double value = 0.01;
    for (int done = 0; done < 3; done++) {
        float limit = (float)(10 * value / (1 - pow(0.99, done + 1)));
        float below[3], above[3], far[3];
        update_after(done, 0.99f * limit, 0.1f * limit, below);
        update_after(done, 1.001f * limit, 0.1f * limit, above);
        update_after(done, 3 * limit, 0.1f * limit, far);
        cr_assert(memcmp(above, far, sizeof far) == 0, "step %d: not clipped at %g", done,
                  (double)limit);
        cr_assert(memcmp(below, far, sizeof far) != 0, "step %d: clipped below %g", done,
                  (double)limit);
        value = 0.99 * value + 0.01 * sqrt(1e-8 + 0.05 * 0.05);
    }
}
