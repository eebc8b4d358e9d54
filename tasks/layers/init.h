/* SPDX-License-Identifier: Apache-2.0
 *
 * init.h - initialisation of tensors.
 *
 *     x = task_add_dense(m, x, width, (task_init){0});                       the default, TN(1/sqrt(fan_in))
 *     x = task_add_dense(m, x, width, (task_init){TASK_INIT_CONSTANT, 0});   zeros
 *     task_init any = task_init_sampled(m);                              drawn with the task, into tau
 *
 *     task_init_fill(&init, tau, rank, dim, &rng, tensor);               in a layer's init
 *
 * fan_in is the product of all axes but the last (of a convolution [rows, cols, in, out]: rows cols in), TN(s) a
 * standard normal truncated to [-2, 2], times s. Source: Haiku's initialisers; the five sampled ones are those
 * of learned_optimization's parametric tasks. */
#ifndef TASK_INIT_H
#define TASK_INIT_H

#include "model/model.h"

typedef enum task_init_kind {
    TASK_INIT_DEFAULT,   /* TN(1/sqrt(fan_in)) */
    TASK_INIT_TRUNCATED, /* TN(scale) */
    TASK_INIT_VARIANCE,  /* truncated normal of variance scale / fan_in */
    TASK_INIT_NORMAL,    /* N(0, scale^2) */
    TASK_INIT_CONSTANT,  /* scale */
    TASK_INIT_IDENTITY,  /* of a square matrix */
    TASK_INIT_XAVIER,    /* uniform in +-sqrt(6 / (fan_in + last axis)) */
    /* The sampled ones, in the order of tau's choice. */
    TASK_INIT_ORTHOGONAL,       /* scale times orthonormal rows or columns, whichever are fewer */
    TASK_INIT_UNIFORM,          /* uniform in +-scale sqrt(3 / fan_in) */
    TASK_INIT_FAN_NORMAL,       /* N(0, scale / fan_in) */
    TASK_INIT_FAN_NORMAL_AGAIN, /* the same: published twice */
    TASK_INIT_FAN_UNIFORM,      /* uniform, of variance scale / fan_in */
    TASK_INIT_SAMPLED           /* tau[at]: which of those five, tau[at + 1]: scale */
} task_init_kind;

typedef struct task_init {
    task_init_kind kind;
    double scale;
    size_t at;
} task_init;

task_init task_init_sampled(task_model *m); /* scale uniform in [0.5, 2] */
void task_init_fill(const task_init *init, const real *tau, int rank, const int64_t *dim, lopt_rng_stream *r,
                    real *out);

#endif
