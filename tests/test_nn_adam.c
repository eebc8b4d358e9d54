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

Test(nn_adam, worked_numbers)
{
    static const worked_case expected = {
        3,
        5e-7,
        1e-6,
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
