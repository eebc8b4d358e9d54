/* SPDX-License-Identifier: Apache-2.0
 *
 * test_costs.c - predicted costs of windows: learned from reports, and the steps to come. */
#include <criterion/criterion.h>
#include <math.h>

#include "es/unroll.h"
#include "ranks/cost_model.h"

/* A window of `a` steps of task 0, then `b` steps of task 1, at 1 ms and 10 ms. */
static mt_report window(int64_t a, int64_t b) {
    mt_report r = {.seconds = 0.001 * (double)a + 0.01 * (double)b};
    if (a) r.task_steps[r.n_task_steps++] = (mt_task_steps){.task = 0, .steps = a};
    if (b) r.task_steps[r.n_task_steps++] = (mt_task_steps){.task = 1, .steps = b};
    return r;
}

Test(costs, learned_from_windows_of_one_task_and_of_two) {
    mt_cost_model costs = {.move = 0};
    for (int i = 0; i < 400; i++) {
        mt_report r = window(i % 21, 20 - i % 21);
        mt_learn_cost(&costs, &r);
    }
    cr_assert(fabs(costs.step[0] - 0.001) < 1e-5, "%g", costs.step[0]);
    cr_assert(fabs(costs.step[1] - 0.01) < 1e-4, "%g", costs.step[1]);
    cr_assert(costs.step[2] == 0);
}

Test(costs, first_window_counts_at_once) {
    mt_cost_model costs = {.move = 0};
    mt_report r = window(20, 0);
    mt_learn_cost(&costs, &r);
    cr_assert(fabs(costs.step[0] - 0.001) < 1e-9);
}

static const char text[] = "tasks: [{task: quadratic, dim: 4}, {task: quadratic, dim: 8}]\n"
                           "optimizer: {name: small-fc, hidden_size: 3}\n"
                           "particles: 2\n"
                           "estimator: {name: pes, std: 0.1, window: 7,\n"
                           "  schedule: {name: log_uniform, min: 8, max: 30}}\n";

/* What a window will make is what the last one's report says it made. */
Test(costs, coming_steps_are_those_that_come) {
    lopt_error err;
    mt_config *cfg = mt_config_parse(text, "test", NULL, 0, &err);
    cr_assert(cfg, "%s", err.text);
    lopt_optimizer *opt = mt_optimizer_create(&cfg->optimizer, "test", &err);
    size_t n = lopt_n_theta(opt);
    float theta[4096];
    unsigned char trained[4096];
    mt_unroller u;
    mt_particle p;
    cr_assert(n <= 4096);
    for (size_t i = 0; i < n; i++) trained[i] = 1;
    lopt_init_theta(opt, 1, theta);
    cr_assert(mt_unroller_open(&u, cfg, opt, trained, &err), "%s", err.text);
    mt_unroller_set_theta(&u, theta);
    cr_assert(mt_particle_open(&p, 1, &u.sampler.sizes, &err));
    for (int64_t w = 0; w < 60; w++) {
        int64_t coming[MT_MAX_TASKS], made[MT_MAX_TASKS] = {0};
        mt_report r;
        mt_predict_steps(cfg, &p.at, w, coming);
        mt_unroll_window(&u, &p, w, &r, NULL);
        for (int k = 0; k < r.n_task_steps; k++) made[r.task_steps[k].task] += r.task_steps[k].steps;
        cr_assert(coming[0] == made[0] && coming[1] == made[1], "window %d: %d and %d, expected %d and %d", (int)w,
                  (int)coming[0], (int)coming[1], (int)made[0], (int)made[1]);
        cr_assert(r.at.trajectory == p.at.trajectory && r.at.number == 1);
    }
    mt_particle_close(&p);
    mt_unroller_close(&u);
    lopt_destroy(opt);
    mt_config_free(cfg);
}
