/* SPDX-License-Identifier: Apache-2.0
 *
 * trajectory.c - see trajectory.h. */
#include "es/trajectory.h"

#include <string.h>

#include "es/estimator.h"
#include "es/schedules.h"

int mt_check_counters(const mt_config *cfg, const mt_particle_counters *at) {
    return at->number >= 0 && at->number < cfg->particles && at->task >= 0 && at->task < cfg->n_tasks &&
           at->trajectory >= -1 && at->inner_step >= 0 && at->noise >= -1 && at->noise_draws >= 0 && at->structure >= 0;
}

static int64_t draw_task(const mt_config *cfg, lopt_rng_stream *r) {
    double total = 0;
    for (int i = 0; i < cfg->n_tasks; i++) total += cfg->tasks[i].weight;
    double at = lopt_rng_draw_uniform(r) * total;
    for (int i = 0; i < cfg->n_tasks; i++)
        if ((at -= cfg->tasks[i].weight) < 0) return i;
    return cfg->n_tasks - 1;
}

static int64_t open_task_stream(const mt_config *cfg, int64_t particle, int64_t trajectory, lopt_rng_stream *r) {
    lopt_rng_open_stream(r, (lopt_rng_address){cfg->seed, LOPT_RNG_TASK, (uint64_t)particle, (uint64_t)trajectory, 0});
    return draw_task(cfg, r);
}

int64_t mt_next_task(const mt_config *cfg, int64_t particle, int64_t trajectory) {
    lopt_rng_stream r;
    return open_task_stream(cfg, particle, trajectory, &r);
}

/* Full ES gives all particles of an outer step the same length; the others draw one for each trajectory. */
int64_t mt_start_next_trajectory(const mt_config *cfg, mt_particle_counters *at, int64_t outer_step,
                                 lopt_rng_stream *r) {
    int shared = mt_window_is_trajectory(cfg);
    at->trajectory++;
    at->inner_step = 0;
    at->task = open_task_stream(cfg, at->number, at->trajectory, r);
    int64_t planned = mt_trajectory_length(cfg, shared ? -1 : at->number, at->trajectory, outer_step);
    at->length = shared || at->trajectory > 0 ? planned : mt_first_length(cfg, at->number, planned);
    return planned;
}

void mt_renew_structure(const mt_config *cfg, mt_particle_counters *at, int64_t outer_step) {
    const mt_task_config *t = &cfg->tasks[at->task];
    lopt_rng_stream r;
    if (at->trajectory < 0 || !mt_is_sampled(t) || t->sample.every == 0) return;
    lopt_rng_open_stream(&r, (lopt_rng_address){cfg->seed, LOPT_RNG_STRUCTURE, (uint64_t)at->number,
                                                (uint64_t)outer_step, MT_MAX_TASKS});
    if (lopt_rng_draw_uniform(&r) * (double)t->sample.every >= 1) return;
    at->structure = outer_step;
    at->length = at->inner_step;
}

void mt_advance_window(const mt_config *cfg, mt_particle_counters *at, int64_t window) {
    lopt_rng_stream r;
    mt_renew_structure(cfg, at, window);
    if (mt_window_is_trajectory(cfg)) {
        mt_start_next_trajectory(cfg, at, window, &r);
        at->inner_step = at->length;
        return;
    }
    for (int64_t steps = cfg->estimator.window, some; steps > 0; steps -= some) {
        if (mt_trajectory_is_over(at)) mt_start_next_trajectory(cfg, at, window, &r);
        int64_t left = at->length - at->inner_step;
        some = left < steps ? left : steps;
        at->inner_step += some;
    }
}

void mt_predict_steps(const mt_config *cfg, const mt_particle_counters *at, int64_t window,
                      int64_t steps[MT_MAX_TASKS]) {
    int whole = mt_window_is_trajectory(cfg);
    int64_t all = whole ? mt_trajectory_length(cfg, -1, at->trajectory + 1, window) : cfg->estimator.window;
    int64_t left = whole ? 0 : at->length - at->inner_step;
    memset(steps, 0, MT_MAX_TASKS * sizeof *steps);
    if (left > 0) steps[at->task] = left < all ? left : all;
    if (left < all) steps[mt_next_task(cfg, at->number, at->trajectory + 1)] += all - (left > 0 ? left : 0);
}
