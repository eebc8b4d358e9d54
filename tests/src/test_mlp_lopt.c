/* SPDX-License-Identifier: Apache-2.0
 *
 * MLPLOpt against worked numbers (worked.h). */
#include "worked.h"

static const worked_block theta[] = {
    {"mlp/~/linear_0/w", 0.5, 0},   {"mlp/~/linear_0/b", 0.1, 0.5}, {"mlp/~/linear_1/w", 0.5, 1},
    {"mlp/~/linear_1/b", 0.1, 1.5}, {"mlp/~/linear_2/w", 0.5, 2},   {"mlp/~/linear_2/b", 0.1, 2.5},
};

Test(mlp_lopt, worked_numbers) {
    static const worked_case expected = {3,
                                         5e-7,
                                         1e-6,
                                         1,
                                         {{0, {0.25048202, 0.29731745, 0.20978302, 0.01300332}, 2.9754712},
                                          {1, {0.27037928, 0.13700986, -0.07536492, -0.24485956}, 2.9517448},
                                          {2, {0.04747340, -0.15737322, -0.29123268, -0.27466857}, 9.1583402},
                                          {3, {-0.23110047, -0.30911532, -0.23598543, -0.04751842}, 0.9771058},
                                          {4, {-0.29516673}, 0.2951667}}};
    lopt_optimizer *opt = worked_create("mlp-lopt", NULL, 0);
    cr_assert(lopt_n_theta(opt) == 1762, "theta has %zu numbers", lopt_n_theta(opt));
    worked_theta(opt, theta, 6);
    worked_check(opt, &expected);
    lopt_destroy(opt);
}
