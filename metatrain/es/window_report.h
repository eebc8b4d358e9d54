/* SPDX-License-Identifier: Apache-2.0
 *
 * window_report.h - what a rank says of one window of one particle: scalars only, whatever theta's size.
 *
 * A window is cut into segments where the trajectory or the noise changes inside it; within a
 * segment all inner steps belong to one trajectory and ran under one perturbation. Full ES has one
 * segment whose sums are the reduced losses of the twins. The noise itself is never sent: noise.h
 * regenerates it. */
#ifndef MT_WINDOW_REPORT_H
#define MT_WINDOW_REPORT_H

#include <stdint.h>

#include "es/particle.h"

/* A reset and, for gpes, one redraw before it: schedule.min >= window allows no more. */
#define MT_MAX_SEGMENTS 3

typedef struct mt_segment {
    int64_t trajectory; /* counted from 0 in each particle */
    int64_t noise;      /* which draw of this particle perturbed theta */
    int64_t task;       /* index into the configuration's tasks */
    int64_t count;      /* meta-losses summed */
    double sum[2];      /* sum of normalised meta-losses under theta+delta, theta-delta */
} mt_segment;

/* Of a window, by trajectory. */
typedef struct mt_task_steps {
    int64_t trajectory, task;
    int64_t steps; /* inner steps of each twin */
} mt_task_steps;

typedef struct mt_report {
    int64_t particle, window;
    int32_t n_segments;
    int32_t dropped;         /* a loss without bound diverged: the window counts for nothing */
    int32_t stale, unused;   /* its theta was too old (step_async.c): left out of the gradient; set by rank 0 */
    int64_t finished;        /* trajectories that ended in this window */
    int64_t finished_length; /* inner steps of those trajectories together */
    int64_t non_finite;      /* losses that were NaN or infinite before normalisation */
    int64_t inner_steps;     /* of both twins together */
    double seconds;          /* CPU time spent in this window */
    double wall_seconds;     /* the same by the clock on the wall */
    mt_particle_counters at; /* of the particle after it */
    mt_segment segment[MT_MAX_SEGMENTS];
    int64_t n_task_steps;
    mt_task_steps task_steps[MT_MAX_SEGMENTS];
} mt_report;

#endif
