/* SPDX-License-Identifier: Apache-2.0
 *
 * augment.c - see augment.h. */
#include "augment/augment.h"

#include "base/draws.h"
#include "base/task_error.h"
#include "model/delegate.h"

/* From the inside out, in VeLO's order. */
// clang-format off
#define WRAPPERS(X)                                                                                                    \
    X(reparam)                                                                                                         \
    X(es)                                                                                                              \
    X(bf16)                                                                                                            \
    X(unit_gradient)                                                                                                   \
    X(directions)                                                                                                      \
    X(delay)
// clang-format on

#define DECLARE(wrapper) extern const task_kind task_wrapper_##wrapper;
WRAPPERS(DECLARE)

#define ADDRESS(wrapper) &task_wrapper_##wrapper,
static const task_kind *const wrappers[] = {WRAPPERS(ADDRESS)};

static const task_setting batch_fraction = {"augment.batch_fraction",
                                            TASK_NUMBER(batch_fraction),
                                            "(0, 1]",
                                            "1",
                                            NULL,
                                            "fraction of batch_size that is used, at least one example"};

const task_setting *task_augment_setting(size_t i) {
    for (size_t w = 0; w < TASK_COUNT(wrappers); i -= wrappers[w++]->n_settings)
        if (i < wrappers[w]->n_settings) return &wrappers[w]->settings[i];
    return i == 0 ? &batch_fraction : NULL;
}

int task_augment_check(const task_spec *spec, lopt_error *err) {
    const task_setting *s;
    for (size_t i = 0; (s = task_augment_setting(i)); i++)
        if (!task_check_settings(spec->task, s, 1, spec, err)) return 0;
    return task_check_range(spec->task, "augment.reparam.range.1", spec->reparam_range[1], spec->reparam_range[0], 1e10,
                            err);
}

task *task_add_augmentations(task *t, const task_spec *spec, lopt_error *err) {
    for (size_t w = 0; t && w < TASK_COUNT(wrappers); w++)
        if (!task_is_standard(&wrappers[w]->settings[0], spec)) t = task_create_of_kind(wrappers[w], t, spec, err);
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
    spec->es_pairs = lopt_rng_draw_uniform(r) < 0.08 ? 1 << task_draw_choice(r, 5) : 0;
    spec->es_std = task_draw_log_uniform(r, 0.001, 0.1);
    spec->batch_fraction = lopt_rng_draw_uniform(r) < 0.2 ? 0.01 + 0.99 * lopt_rng_draw_uniform(r) : 1;
    spec->bf16 = lopt_rng_draw_uniform(r) < 0.2;
    spec->unit_gradient = lopt_rng_draw_uniform(r) < 0.05;
    spec->directions = lopt_rng_draw_uniform(r) < 0.08 ? task_draw_log_integer(r, 1, 1024) : 0;
    spec->direction_signs = task_draw_choice(r, 2);
    spec->delay = lopt_rng_draw_uniform(r) < 0.05 ? task_draw_log_integer(r, 1, 8) : 0;
}
