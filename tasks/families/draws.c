/* SPDX-License-Identifier: Apache-2.0
 *
 * draws.c - see draws.h. */
#include "families/draws.h"

#include <math.h>

double task_draw_log(lopt_rng_stream *r, double low, double high) {
    return exp(log(low) + lopt_rng_draw_uniform(r) * (log(high) - log(low)));
}

int task_draw_log_int(lopt_rng_stream *r, double low, double high) {
    return (int)fmax(low, floor(task_draw_log(r, low, high))); /* rounding may fall below low */
}

int task_draw_choice(lopt_rng_stream *r, int n) {
    return (int)lopt_rng_draw_below(r, (uint64_t)n);
}

void task_draw_images(task_spec *spec, lopt_rng_stream *r) {
    spec->image_size = task_draw_log_int(r, 4, 32);
    spec->batch_size = task_draw_log_int(r, 4, 512);
}

void task_draw_hidden(task_spec *spec, lopt_rng_stream *r) {
    int width = task_draw_log_int(r, 8, 128);
    spec->n_hidden = task_draw_choice(r, 5);
    for (int l = 0; l < spec->n_hidden; l++) spec->hidden[l] = width;
    spec->per_task = 1;
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
    spec->es_pairs = lopt_rng_draw_uniform(r) < 0.08 ? 1 << task_draw_choice(r, 5) : 0;
    spec->es_std = task_draw_log(r, 0.001, 0.1);
    spec->batch_fraction = lopt_rng_draw_uniform(r) < 0.2 ? 0.01 + 0.99 * lopt_rng_draw_uniform(r) : 1;
    spec->bf16 = lopt_rng_draw_uniform(r) < 0.2;
    spec->unit_gradient = lopt_rng_draw_uniform(r) < 0.05;
    spec->directions = lopt_rng_draw_uniform(r) < 0.08 ? task_draw_log_int(r, 1, 1024) : 0;
    spec->direction_signs = task_draw_choice(r, 2);
    spec->delay = lopt_rng_draw_uniform(r) < 0.05 ? task_draw_log_int(r, 1, 8) : 0;
}
