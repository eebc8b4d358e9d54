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

Test(rnn_mlp, worked_numbers) {
    static const worked_case expected = {3,
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
Test(rnn_mlp, worked_numbers_for_large_gradients) {
    static const worked_case expected = {3,
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

/* ---- validation losses ------------------------------------------------------------------------ */

enum { TRAIN_ROW = 47, VALID_ROW, N_LSTM_INPUTS = 52, N_GATES = 32, FIRST_TIME = 23, N_TIME = 11 };

static lopt_optimizer *small(void) {
    lopt_optimizer *opt = worked_create("rnn-mlp", (lopt_setting[]){{"lstm_hidden_size", "8"}}, 1);
    worked_theta(opt, theta, 16);
    return opt;
}

static float *block(const lopt_optimizer *opt, float *all, const char *name) {
    return all + lopt_block_find(opt, name)->offset;
}

static float *copy_theta(const lopt_optimizer *opt) {
    float *all = malloc(lopt_n_theta(opt) * sizeof *all);
    memcpy(all, lopt_theta(opt), lopt_n_theta(opt) * sizeof *all);
    return all;
}

/* The update of the step after `before` steps at a loss of 2, then n validation losses. */
static void update_told(const lopt_optimizer *opt, int before, const float *valid, int n, float u[3]) {
    lopt_tensor t = lopt_tensor_make("x", 1, (int64_t[]){3});
    lopt_error err = {0};
    lopt_state *state = lopt_state_create(opt, &t, 1, &err);
    cr_assert(state, "%s", err.text);
    float p[3] = {0.1f, -0.2f, 0.3f}, g[3] = {0.05f, -0.04f, 0.03f};
    for (int i = 0; i < before; i++) lopt_step(opt, state, p, g, 2 + 0.1f * (float)i, NULL);
    for (int i = 0; i < n; i++) lopt_tell_valid_loss(opt, state, valid[i]);
    lopt_step(opt, state, p, g, 2.3f, u);
    lopt_state_destroy(state);
}

static void expect_updates(const float *found, const float *expected, int same, const char *what) {
    double largest = 0;
    for (int i = 0; i < 3; i++)
        largest = fmax(largest, fabs((double)found[i] - (double)expected[i]) / fabs((double)expected[i]));
    cr_assert(same ? largest < 1e-5 : largest > 1e-4, "%s: updates differ by %g", what, largest);
}

/* Of a network that looks at nothing but the time. */
Test(rnn_mlp, a_validation_loss_moves_the_time_on) {
    lopt_optimizer *opt = small();
    float u[3], v[3], *all = copy_theta(opt);
    float *w = block(opt, all, "ffmod_params/mlp/~/linear_0/w");
    for (int i = 0; i < 54; i++)
        if (i < FIRST_TIME || i >= FIRST_TIME + N_TIME) memset(w + 32 * i, 0, 32 * sizeof *w);
    lopt_set_theta(opt, all);
    free(all);
    update_told(opt, 3, NULL, 0, u);
    update_told(opt, 0, (float[]){7, -7, 1}, 3, v);
    expect_updates(v, u, 1, "three steps, three validation losses");
    update_told(opt, 0, NULL, 0, v);
    expect_updates(v, u, 0, "three steps, none");
    lopt_destroy(opt);
}

/* The network's time weights are 0, so that the loss alone is seen. Where the mean of the validation
 * losses equals the training loss, both inputs of the LSTM do, and their weights may change places. */
Test(rnn_mlp, the_validation_loss_stands_beside_the_training_loss) {
    lopt_optimizer *opt = small(), *swapped = small();
    float u[3], v[3], told[3], row[N_GATES], *all = copy_theta(opt);
    memset(block(opt, all, "ffmod_params/mlp/~/linear_0/w") + 32 * FIRST_TIME, 0, 32 * N_TIME * sizeof *all);
    lopt_set_theta(opt, all);
    float *w = block(opt, all, "rnn_params/rnn/linear/w");
    memcpy(row, w + TRAIN_ROW * N_GATES, sizeof row);
    memmove(w + TRAIN_ROW * N_GATES, w + VALID_ROW * N_GATES, sizeof row);
    memcpy(w + VALID_ROW * N_GATES, row, sizeof row);
    lopt_set_theta(swapped, all);
    free(all);
    static const float equal[] = {2.3f, 2.3f, 2.3f};
    update_told(opt, 0, equal, 3, u);
    update_told(swapped, 0, equal, 3, v);
    expect_updates(v, u, 1, "equal losses, weights swapped");
    update_told(opt, 0, NULL, 0, told);
    update_told(swapped, 0, NULL, 0, v);
    expect_updates(v, told, 0, "no validation loss, weights swapped");
    update_told(opt, 0, (float[]){0}, 1, v);
    expect_updates(v, told, 1, "a validation loss of 0, none");
    /* The mean of 1, then 4: (0.95 0.05 1 + 0.05 4) / (1 - 0.95^2). */
    update_told(opt, 3, (float[]){1, 4}, 2, u);
    update_told(opt, 3, (float[]){(0.95f * 0.05f + 0.05f * 4) / (1 - 0.95f * 0.95f)}, 1, v);
    expect_updates(v, u, 1, "two losses, their mean");
    update_told(opt, 3, (float[]){2.5f}, 1, v);
    expect_updates(v, u, 0, "two losses, their plain mean");
    lopt_destroy(opt);
    lopt_destroy(swapped);
}

Test(rnn_mlp, other_optimizers_ignore_validation_losses) {
    lopt_optimizer *opt = worked_create("adam", NULL, 0);
    float u[3], v[3];
    update_told(opt, 2, NULL, 0, u);
    update_told(opt, 2, (float[]){5, 6}, 2, v);
    expect_updates(v, u, 1, "adam");
    lopt_destroy(opt);
}

/* ---- clipping -------------------------------------------------------------------------------- */

/* The update of the step after `done` steps with gradients of 0.05; only the first is large. */
static void update_after(int done, float large, float small, float u[3]) {
    lopt_optimizer *opt = worked_create("rnn-mlp", (lopt_setting[]){{"lstm_hidden_size", "8"}}, 1);
    worked_theta(opt, theta, 16);
    lopt_tensor t = lopt_tensor_make("x", 1, (int64_t[]){3});
    lopt_error err = {0};
    lopt_state *state = lopt_state_create(opt, &t, 1, &err);
    cr_assert(state, "%s", err.text);
    float p[3] = {0.1f, -0.2f, 0.3f};
    for (int step = 0; step < done; step++) lopt_step(opt, state, p, (float[]){0.05f, -0.05f, 0.05f}, 1, NULL);
    lopt_step(opt, state, p, (float[]){large, small, -small}, 1, u);
    lopt_state_destroy(state);
    lopt_destroy(opt);
}

Test(rnn_mlp, gradients_are_clipped_at_ten_times_their_running_size) {
    double value = 0.01;
    for (int done = 0; done < 3; done++) {
        float limit = (float)(10 * value / (1 - pow(0.99, done + 1)));
        float below[3], above[3], far[3];
        update_after(done, 0.99f * limit, 0.1f * limit, below);
        update_after(done, 1.001f * limit, 0.1f * limit, above);
        update_after(done, 3 * limit, 0.1f * limit, far);
        cr_assert(memcmp(above, far, sizeof far) == 0, "step %d: not clipped at %g", done, (double)limit);
        cr_assert(memcmp(below, far, sizeof far) != 0, "step %d: clipped below %g", done, (double)limit);
        value = 0.99 * value + 0.01 * sqrt(1e-8 + 0.05 * 0.05);
    }
}
