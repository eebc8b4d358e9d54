/* SPDX-License-Identifier: Apache-2.0
 *
 * augment.c - see augment.h. */
#include "augment/augment.h"

#include "augment/wrap.h"
#include "base/draws.h"

/* The batch is reduced by whoever draws it (task_create_task): the first examples of a batch are a smaller batch. */
static task *leave_unwrapped(task *inner, const task_spec *spec, lopt_error *err) {
    (void)spec, (void)err;
    return inner;
}

static const task_setting batch_settings[] = {
    {"augment.batch_fraction", TASK_NUMBER(batch_fraction), "(0, 1]", "1", NULL,
     "fraction of batch_size that is used, at least one example"},
};
static const task_wrapper smaller_batch = {batch_settings, TASK_COUNT(batch_settings), leave_unwrapped};

/* From the inside out, in VeLO's order. */
static const task_wrapper *const wrappers[] = {
    &task_wrapper_reparam,       &smaller_batch,           &task_wrapper_es,    &task_wrapper_bf16,
    &task_wrapper_unit_gradient, &task_wrapper_directions, &task_wrapper_delay,
};

const task_setting *task_augment_setting(size_t i) {
    for (size_t w = 0; w < TASK_COUNT(wrappers); i -= wrappers[w++]->n_settings)
        if (i < wrappers[w]->n_settings) return &wrappers[w]->settings[i];
    return NULL;
}

int task_augment_check(const task_spec *spec, lopt_error *err) {
    for (size_t w = 0; w < TASK_COUNT(wrappers); w++)
        if (!task_check_settings(spec->task, wrappers[w]->settings, wrappers[w]->n_settings, spec, err)) return 0;
    return task_check_range(spec->task, "augment.reparam.range.1", spec->reparam_range[1], spec->reparam_range[0], 1e10,
                            err);
}

task *task_add_augmentations(task *t, const task_spec *spec, lopt_error *err) {
    for (size_t w = 0; w < TASK_COUNT(wrappers); w++) t = wrappers[w]->wrap(t, spec, err);
    return t;
}

static void draw_reparam_scales(task_spec *spec, lopt_rng_stream *r) {
    static const task_reparam levels[] = {TASK_REPARAM_NONE,     TASK_REPARAM_NONE,   TASK_REPARAM_GLOBAL,
                                          TASK_REPARAM_GLOBAL,   TASK_REPARAM_TENSOR, TASK_REPARAM_TENSOR,
                                          TASK_REPARAM_PARAMETER};
    static const double largest[] = {1000, 100, 10};
    spec->reparam = levels[task_draw_choice(r, sizeof levels / sizeof *levels)];
    spec->reparam_range[1] = largest[task_draw_choice(r, sizeof largest / sizeof *largest)];
    spec->reparam_range[0] = 1 / spec->reparam_range[1];
}

void task_draw_augmentations(task_spec *spec, lopt_rng_stream *r) {
    draw_reparam_scales(spec, r);
    spec->es_pairs = lopt_rng_uniform(r) < 0.08 ? 1 << task_draw_choice(r, 5) : 0;
    spec->es_std = task_draw_log_uniform(r, 0.001, 0.1);
    spec->batch_fraction = lopt_rng_uniform(r) < 0.2 ? 0.01 + 0.99 * lopt_rng_uniform(r) : 1;
    spec->bf16 = lopt_rng_uniform(r) < 0.2;
    spec->unit_gradient = lopt_rng_uniform(r) < 0.05;
    spec->directions = lopt_rng_uniform(r) < 0.08 ? task_draw_log_integer(r, 1, 1024) : 0;
    spec->direction_signs = task_draw_choice(r, 2);
    spec->delay = lopt_rng_uniform(r) < 0.05 ? task_draw_log_integer(r, 1, 8) : 0;
}
