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
