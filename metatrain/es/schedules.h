/* SPDX-License-Identifier: Apache-2.0
 *
 * schedules.h - what changes over a meta-training: lengths of trajectories, the outer learning rate.
 *
 * Both are functions of the outer step (and of addresses of random numbers), never of what happened
 * before, so a longer run begins like a shorter one and a resumed run goes on as if it had not
 * stopped.
 *
 * Lengths (`estimator.schedule`), for a trajectory that begins in outer step t:
 *
 *     constant      max
 *     log_uniform   floor(exp(U(ln min, ln max))); with knots, max is what they say at t
 *     scheduled     floor(knots at t) + trunc(std * normal), at least min
 *
 * rounded down to a multiple of `multiple`. Learning rates (`outer.schedule`), for update t with warm-up
 * w and peak lr:
 *
 *     t < w           lr (s + (1 - s) t / w),  s = start_fraction; where that is 0: lr (t + 1) / (w + 1)
 *     constant        lr
 *     warmup_cosine   lr (e + (1 - e) (1 + cos(pi x)) / 2),  x = (t - w) / (decay - w), at most 1,
 *                     e = end_fraction
 *     linear          lr (e + (1 - e) (1 - x))
 *     exponential     lr (1 - decay_per_step)^(t - w)
 *     sqrt_decay      lr sqrt((w + 1) / (t + 1))
 *     piecewise       lr times what the knots say at t, no warm-up
 *
 * Source: the schedules of learned_optimization (Metz et al. 2022) and optax. */
#ifndef MT_SCHEDULES_H
#define MT_SCHEDULES_H

#include "config/config.h"

/* Straight lines between the knots, constant outside; steps rise, there is at least one. */
double mt_knots_at(const mt_knots *knots, double t);

/* Planned length of a trajectory. particle -1: the one that all particles of full ES share. */
int64_t mt_trajectory_length(const mt_config *cfg, int64_t particle, int64_t trajectory, int64_t outer_step);
/* Of a particle's first trajectory, which ends early by a uniform offset, so that particles leave
 * lock-step. */
int64_t mt_first_length(const mt_config *cfg, int64_t particle, int64_t planned);

double mt_outer_learning_rate(const mt_config *cfg, int64_t update); /* update counts from 0 */

#endif
