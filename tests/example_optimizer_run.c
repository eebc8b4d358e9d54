/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the example of docs/adding-an-optimizer.md through the public header: what is listed, theta,
 * and steps against the formula. Built by test_adding_an_optimizer.sh with a registry that has the
 * example. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lopt.h"

enum { N = 300, N_STEPS = 25 };

static int fail(const char *what, double found, double expected) {
    fprintf(stderr, "%s: %.9g, expected %.9g\n", what, found, expected);
    return 1;
}

static int is_listed(const char *name) {
    const lopt_preset_info *info;
    for (size_t i = 0; (info = lopt_preset(i)); i++)
        if (strcmp(info->name, name) == 0) return info->learned;
    return 0;
}

/* Steps on g = p - 1 beside the formula in float. */
static int check_steps(const char *preset, double momentum, float log_rate) {
    lopt_error err = {0};
    lopt_setting settings[] = {{"weight_decay", "0.1"}, {"learning_rate", "0.5"}};
    lopt_optimizer *opt = lopt_create(preset, settings, 2, &err);
    lopt_tensor t = lopt_tensor_make("x", 1, (int64_t[]){N});
    lopt_state *state = opt ? lopt_state_create(opt, &t, 1, &err) : NULL;
    if (!state) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    lopt_set_theta(opt, &log_rate);
    float p[N], g[N], b[N] = {0}, expected[N], m = (float)momentum;
    for (int i = 0; i < N; i++) p[i] = expected[i] = 0.01f * (float)(i - N / 2);
    for (int step = 0; step < N_STEPS; step++) {
        for (int i = 0; i < N; i++) {
            g[i] = p[i] - 1;
            b[i] = m * b[i] + (1.0f - m) * g[i];
            float sign = (float)((b[i] > 0) - (b[i] < 0));
            expected[i] -= 0.5f * expf(log_rate) * (sign + 0.1f * expected[i]);
        }
        lopt_step(opt, state, p, g, 1, NULL);
    }
    int bad = 0;
    for (int i = 0; i < N && !bad; i++)
        if (!(fabsf(p[i] - expected[i]) < 1e-5f)) bad = fail(preset, (double)p[i], (double)expected[i]);
    lopt_state_destroy(state);
    lopt_destroy(opt);
    return bad;
}

int main(void) {
    if (!is_listed("sign-momentum") || !is_listed("sign-momentum-slow")) return fail("listed as learned", 0, 1);
    lopt_optimizer *opt = lopt_create("sign-momentum", NULL, 0, NULL);
    float theta;
    lopt_init_theta(opt, 1, &theta);
    if (lopt_n_theta(opt) != 1 || !lopt_block_find(opt, "log_rate"))
        return fail("numbers in theta", (double)lopt_n_theta(opt), 1);
    if (!(fabsf(theta - logf(0.001f)) < 1e-6f)) return fail("log_rate", (double)theta, log(0.001));
    lopt_destroy(opt);
    return check_steps("sign-momentum", 0.9, logf(0.03f)) || check_steps("sign-momentum-slow", 0.99, logf(0.01f));
}
