/* SPDX-License-Identifier: Apache-2.0
 *
 * augment.c - see augment.h. */
#include "augment/augment.h"

#include "augment/wrap.h"
#include "base/draws.h"

/* The batch is reduced by whoever draws it (task_create): the first examples of a batch are a smaller batch. */
task *task_augment(task *t, const task_spec *spec, lopt_error *err) {
    t = task_reparam_wrap(t, spec, err);
    t = task_es_wrap(t, spec, err);
    t = task_bf16_wrap(t, spec, err);
    t = task_unit_gradient_wrap(t, spec, err);
    t = task_directions_wrap(t, spec, err);
    return task_delay_wrap(t, spec, err);
}

static void draw_reparam(task_spec *spec, lopt_rng_stream *r) {
    static const task_reparam levels[] = {TASK_REPARAM_NONE,     TASK_REPARAM_NONE,   TASK_REPARAM_GLOBAL,
                                          TASK_REPARAM_GLOBAL,   TASK_REPARAM_TENSOR, TASK_REPARAM_TENSOR,
                                          TASK_REPARAM_PARAMETER};
    static const double largest[] = {1000, 100, 10};
    spec->reparam = levels[task_draw_choice(r, sizeof levels / sizeof *levels)];
    spec->reparam_max = largest[task_draw_choice(r, sizeof largest / sizeof *largest)];
    spec->reparam_min = 1 / spec->reparam_max;
}

void task_draw_augmentations(task_spec *spec, lopt_rng_stream *r) {
    draw_reparam(spec, r);
    spec->es_pairs = lopt_rng_uniform(r) < 0.08 ? 1 << task_draw_choice(r, 5) : 0;
    spec->es_std = task_draw_log(r, 0.001, 0.1);
    spec->batch_fraction = lopt_rng_uniform(r) < 0.2 ? 0.01 + 0.99 * lopt_rng_uniform(r) : 1;
    spec->bf16 = lopt_rng_uniform(r) < 0.2;
    spec->unit_gradient = lopt_rng_uniform(r) < 0.05;
    spec->directions = lopt_rng_uniform(r) < 0.08 ? task_draw_log_int(r, 1, 1024) : 0;
    spec->direction_signs = task_draw_choice(r, 2);
    spec->delay = lopt_rng_uniform(r) < 0.05 ? task_draw_log_int(r, 1, 8) : 0;
}
