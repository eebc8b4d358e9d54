/* SPDX-License-Identifier: Apache-2.0
 *
 * test_outer.c - the update of theta against the formulas of outer_optimizer.h, worked by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "es/outer_optimizer.h"

enum { N = 3 };
static const unsigned char all[N] = {1, 1, 1}, but_second[N] = {1, 0, 1};

/* Default configuration with settings; fresh outer optimizer. */
static mt_config *open(mt_outer *o, const unsigned char *trained, const char *const *sets, int n) {
    lopt_error err;
    mt_config *cfg = mt_config_load(NULL, sets, n, &err);
    cr_assert(cfg, "%s", err.text);
    cr_assert(mt_outer_open(o, cfg, trained, N, &err));
    return cfg;
}

static void shut(mt_outer *o, mt_config *cfg) {
    mt_outer_close(o);
    mt_config_free(cfg);
}

#define SETS(...) (const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define NEAR(a, b) (fabs((double)(a) - (double)(b)) < 1e-6)

/* The first step of Adam has length learning_rate in every direction, whatever the gradient's size.
 */
Test(outer, adam) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg = open(&o, all, SETS("outer.learning_rate=0.1", "outer.optimizer=adam"));
    float theta[N] = {1, 2, 3};
    mt_outer_update(&o, (double[N]){3, -4, 0}, theta, &norms);
    cr_assert(NEAR(theta[0], 0.9) && NEAR(theta[1], 2.1) && theta[2] == 3);
    cr_assert(NEAR(norms.gradient, 5) && NEAR(norms.update, 0.1 * sqrt(2)) && norms.learning_rate == 0.1);
    mt_outer_update(&o, (double[N]){1, 0, 0}, theta, &norms);
    double m = (0.9 * 0.3 + 0.1) / (1 - 0.81), v = (0.999 * 0.009 + 0.001) / (1 - 0.999 * 0.999);
    cr_assert(NEAR(theta[0], 0.9 - 0.1 * m / sqrt(v)), "%g", (double)theta[0]);
    shut(&o, cfg);
}

Test(outer, adamw_decays_theta_by_itself) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg =
        open(&o, but_second, SETS("outer.learning_rate=0.1", "outer.optimizer=adamw", "outer.weight_decay=0.5"));
    float theta[N] = {1, 2, 3};
    mt_outer_update(&o, (double[N]){0, 0, 0}, theta, &norms);
    cr_assert(NEAR(theta[0], 0.95) && theta[1] == 2 && NEAR(theta[2], 2.85));
    shut(&o, cfg);
}

Test(outer, sgd_with_momentum) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg = open(&o, all, SETS("outer.learning_rate=0.1", "outer.optimizer=sgd", "outer.beta1=0.5"));
    float theta[N] = {0, 0, 0};
    mt_outer_update(&o, (double[N]){1, 0, 0}, theta, &norms);
    mt_outer_update(&o, (double[N]){1, 0, 0}, theta, &norms);
    cr_assert(NEAR(theta[0], -0.1 - 0.15));
    shut(&o, cfg);
}

Test(outer, clipping_keeps_the_direction) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg = open(&o, all, SETS("outer.learning_rate=1", "outer.optimizer=sgd", "outer.gradient_clip=1"));
    float theta[N] = {0, 0, 0};
    mt_outer_update(&o, (double[N]){3, -4, 0}, theta, &norms);
    cr_assert(NEAR(theta[0], -0.6) && NEAR(theta[1], 0.8) && NEAR(norms.gradient, 5) && NEAR(norms.update, 1));
    shut(&o, cfg);
}

Test(outer, frozen_and_non_finite_change_nothing) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg = open(&o, but_second, SETS("outer.learning_rate=0.1"));
    float theta[N] = {1, 2, 3}, before[N];
    mt_outer_update(&o, (double[N]){1, 1, 1}, theta, &norms);
    cr_assert(theta[0] != 1 && theta[1] == 2 && theta[2] != 3);
    memcpy(before, theta, sizeof theta);
    mt_outer_update(&o, (double[N]){1, NAN, 1}, theta, &norms);
    mt_outer_update(&o, (double[N]){INFINITY, 0, 0}, theta, &norms);
    cr_assert(memcmp(before, theta, sizeof theta) == 0 && o.skipped == 2 && isfinite(o.m[0]));
    shut(&o, cfg);
}

Test(outer, epsilon_inside_the_root) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg = open(&o, all, SETS("outer.learning_rate=0.1", "outer.epsilon_root=0.75"));
    float theta[N] = {1, 2, 3};
    mt_outer_update(&o, (double[N]){0.5, 0, 0}, theta, &norms);
    cr_assert(NEAR(theta[0], 1 - 0.1 * 0.5), "%g", (double)theta[0]); /* root of 1/4 + 3/4 */
    shut(&o, cfg);
}

/* Lion steps by the sign of a mean that the step's own gradient has a larger part in than the moment. */
Test(outer, lion) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg = open(&o, but_second,
                          SETS("outer.learning_rate=0.1", "outer.optimizer=lion", "outer.beta1=0.5", "outer.beta2=0.75",
                               "outer.weight_decay=0.5"));
    float theta[N] = {1, 2, -4};
    mt_outer_update(&o, (double[N]){3, 9, -0.001}, theta, &norms);
    cr_assert(NEAR(theta[0], 1 - 0.1 * (1 + 0.5)) && theta[1] == 2 && NEAR(theta[2], -4 - 0.1 * (-1 - 2)));
    cr_assert(NEAR(o.m[0], 0.75) && NEAR(o.m[2], -0.00025));
    /* 0.5 * 0.75 - 0.5 * 0.7 > 0: still down */
    mt_outer_update(&o, (double[N]){-0.7, 0, 0}, theta, &norms);
    cr_assert(NEAR(theta[0], 0.85 - 0.1 * (1 + 0.425)) && NEAR(o.m[0], 0.5625 - 0.175));
    shut(&o, cfg);
}

Test(outer, accumulation_updates_with_the_mean) {
    mt_outer o;
    mt_outer_norms norms;
    mt_config *cfg = open(&o, all,
                          SETS("outer.learning_rate=1", "outer.optimizer=sgd", "outer.beta1=0", "outer.accumulate=3",
                               "outer.gradient_clip=4"));
    float theta[N] = {0, 0, 0};
    for (int round = 1; round <= 2; round++) {
        mt_outer_update(&o, (double[N]){1, 2, 0}, theta, &norms);
        mt_outer_update(&o, (double[N]){NAN, 0, 0}, theta, &norms);
        cr_assert(norms.update == 0 && NEAR(theta[0], 1 - round) && o.updates == round - 1);
        mt_outer_update(&o, (double[N]){1, 0, 8}, theta, &norms); /* of norm sqrt(65), clipped to 4 */
        double scale = 4 / sqrt(65);
        cr_assert(o.updates == round && NEAR(theta[1], -round) && NEAR(theta[2], -round * 8 * scale / 2));
        theta[0] = (float)-round;
    }
    cr_assert(o.skipped == 2);
    shut(&o, cfg);
}
