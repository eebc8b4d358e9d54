/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tasks_double.c - gradients of every kind of task against signed finite differences.
 *
 * Compiled with real = double. Every kind in tasks/task_registry.c is taken up by itself, each with every
 * activation and every level of reparametrisation. */
#include <stdio.h>

#include "base/declare.h"
#include "task.h"
#include "task_check.h"

static void check_levels(task_spec *spec) {
    for (int level = TASK_REPARAM_NONE; level <= TASK_REPARAM_PARAMETER; level++) {
        spec->reparam = (task_reparam)level;
        check_task(spec);
    }
}

static task_spec spec_of(const char *kind) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "%s", kind);
    spec.batch_size = 12;
    spec.n_hidden = 2;
    spec.hidden[0] = 9;
    spec.hidden[1] = 7;
    spec.reparam_range[0] = 0.1;
    spec.reparam_range[1] = 10;
    return spec;
}

Test(gradients, every_kind_activation_and_level) {
    task_spec images = spec_of("image_mlp");
    task *kept = task_create(&images, NULL); /* images are read once */
    int n_kinds = 0;
    for (; task_kinds[n_kinds]; n_kinds++) {
        task_spec spec = spec_of(task_kinds[n_kinds]->name);
        for (int act = TASK_RELU; act < TASK_N_ACTIVATIONS; act++) {
            spec.activation = (task_activation_kind)act;
            check_levels(&spec);
        }
    }
    task_destroy(kept);
    cr_assert(n_kinds >= 7, "only %d kinds", n_kinds);
}

Test(gradients, other_depths) {
    static const int depths[][4] = {{0}, {1, 5}, {4, 3, 8, 5}};
    for (int i = 0; i < 3; i++) {
        task_spec spec = spec_of("image_mlp");
        spec.activation = TASK_TANH;
        spec.n_hidden = depths[i][0];
        for (int l = 0; l < spec.n_hidden; l++) spec.hidden[l] = l < 3 ? depths[i][l + 1] : 6;
        check_task(&spec);
    }
}

/* The centre of noisy_mean_quadratic is drawn with the batch: at a fixed batch the gradient is
 * exact. */
Test(gradients, quadratic_with_a_moving_centre) {
    task_spec spec = spec_of("noisy_mean_quadratic");
    spec.noise = 2;
    check_levels(&spec);
}

/* noisy_quadratic adds noise * N(0,1) to the gradient, anew with each batch, and leaves the loss
 * alone. */
Test(gradients, gradient_noise_has_its_scale) {
    enum { DRAWS = 2000 };
    task_spec spec = spec_of("noisy_quadratic");
    probe quiet = start(&spec);
    real loss = task_compute_loss(quiet.t, quiet.tau, quiet.work, quiet.params, quiet.grads);
    spec.noise = 0.5;
    probe p = start(&spec);
    double sum = 0, squares = 0, n = (double)p.t->n_params * DRAWS;
    for (int k = 0; k < DRAWS; k++) {
        task_draw_batch(p.t, quiet.tau, TASK_TRAIN, &p.r, p.work);
        cr_assert(task_compute_loss(p.t, quiet.tau, p.work, quiet.params, p.grads) == loss, "noise in the loss");
        for (size_t i = 0; i < p.t->n_params; i++) {
            sum += p.grads[i] - quiet.grads[i];
            squares += pow(p.grads[i] - quiet.grads[i], 2);
        }
    }
    cr_assert(fabs(sum / n) < 5 * 0.5 / sqrt(n), "mean %g", sum / n);
    cr_assert(fabs(squares / n - 0.25) < 5 * 0.25 * sqrt(2 / n), "variance %g, expected 0.25", squares / n);
    stop(&p);
    stop(&quiet);
}
