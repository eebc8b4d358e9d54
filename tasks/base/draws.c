/* SPDX-License-Identifier: Apache-2.0
 *
 * draws.c - see draws.h. */
#include "base/draws.h"

#include <math.h>

double task_draw_log_uniform(lopt_rng_stream *r, double low, double high) {
    return exp(log(low) + lopt_rng_draw_uniform(r) * (log(high) - log(low)));
}

int task_draw_log_integer(lopt_rng_stream *r, double low, double high) {
    return (int)fmax(low, floor(task_draw_log_uniform(r, low, high))); /* rounding may fall below low */
}

int task_draw_choice(lopt_rng_stream *r, int n) {
    return (int)lopt_rng_draw_below(r, (uint64_t)n);
}

void task_draw_images(task_spec *spec, lopt_rng_stream *r) {
    spec->image_size = task_draw_log_integer(r, 4, 32);
    spec->batch_size = task_draw_log_integer(r, 4, 512);
}

void task_draw_hidden(task_spec *spec, lopt_rng_stream *r) {
    int width = task_draw_log_integer(r, 8, 128);
    spec->n_hidden = task_draw_choice(r, 5);
    for (int l = 0; l < spec->n_hidden; l++) spec->hidden[l] = width;
    spec->per_task = 1;
}
