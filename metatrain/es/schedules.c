/* SPDX-License-Identifier: Apache-2.0
 *
 * schedules.c - see schedules.h. */
#include "es/schedules.h"

#include <math.h>

#include "rng/rng.h"

#define PI 3.14159265358979323846

double mt_knots_at(const mt_knots *knots, double t) {
    int k = 0;
    while (k < knots->n_steps && knots->step[k] <= t) k++;
    if (k == 0 || k == knots->n_steps) return knots->value[k == 0 ? 0 : k - 1];
    double x = (t - knots->step[k - 1]) / (knots->step[k] - knots->step[k - 1]);
    return knots->value[k - 1] + x * (knots->value[k] - knots->value[k - 1]);
}

/* ---- lengths ------------------------------------------------------------------------------- */

static double log_uniform_length(const mt_estimator_config *e, double t, lopt_rng_stream *r) {
    double low = (double)e->schedule.min, high = (double)e->schedule.max;
    if (e->schedule.knots.n_steps > 0) high = fmax(floor(mt_knots_at(&e->schedule.knots, t)), low);
    double length = floor(exp(log(low) + lopt_rng_draw_uniform(r) * (log(high) - log(low))));
    return fmin(fmax(length, low), high);
}

static double scheduled_length(const mt_estimator_config *e, double t, lopt_rng_stream *r) {
    double length = floor(mt_knots_at(&e->schedule.knots, t));
    if (e->schedule.std > 0) length += trunc(lopt_rng_draw_normal(r) * e->schedule.std);
    return fmax(length, (double)e->schedule.min);
}

int64_t mt_trajectory_length(const mt_config *cfg, int64_t particle, int64_t trajectory, int64_t outer_step) {
    const mt_estimator_config *e = &cfg->estimator;
    int64_t length = e->schedule.max, multiple = e->schedule.multiple;
    lopt_rng_stream r;
    lopt_rng_open_stream(&r,
                         (lopt_rng_address){cfg->seed, LOPT_RNG_LENGTH, (uint64_t)particle, (uint64_t)trajectory, 0});
    if (e->schedule.name == MT_LOG_UNIFORM) length = (int64_t)log_uniform_length(e, (double)outer_step, &r);
    if (e->schedule.name == MT_SCHEDULED) length = (int64_t)scheduled_length(e, (double)outer_step, &r);
    return length < multiple ? multiple : length / multiple * multiple;
}

int64_t mt_first_length(const mt_config *cfg, int64_t particle, int64_t planned) {
    int64_t offset = cfg->estimator.schedule.offset;
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){cfg->seed, LOPT_RNG_OFFSET, (uint64_t)particle, 0, 0});
    int64_t length = planned - (int64_t)lopt_rng_draw_below(&r, (uint64_t)(offset ? offset : planned));
    return length < 1 ? 1 : length;
}

/* ---- learning rates ------------------------------------------------------------------------ */

double mt_outer_learning_rate(const mt_config *cfg, int64_t update) {
    mt_outer_schedule name = cfg->outer.schedule.name;
    double peak = cfg->outer.learning_rate, t = (double)update, warmup = (double)cfg->outer.schedule.warmup;
    if (name == MT_OUTER_PIECEWISE) return peak * mt_knots_at(&cfg->outer.schedule.knots, t);
    if (t < warmup) {
        double start = cfg->outer.schedule.start_fraction;
        return start > 0 ? peak * (start + (1 - start) * t / warmup) : peak * (t + 1) / (warmup + 1);
    }
    double end = cfg->outer.schedule.end_fraction,
           x = fmin((t - warmup) / ((double)cfg->outer.schedule.decay - warmup), 1);
    switch (name) {
    case MT_OUTER_WARMUP_COSINE:
        return peak * (end + (1 - end) * 0.5 * (1 + cos(PI * x)));
    case MT_OUTER_LINEAR:
        return peak * (end + (1 - end) * (1 - x));
    case MT_OUTER_EXPONENTIAL:
        return peak * pow(1 - cfg->outer.schedule.decay_per_step, t - warmup);
    case MT_OUTER_SQRT_DECAY:
        return peak * sqrt((warmup + 1) / (t + 1));
    default:
        return peak;
    }
}
