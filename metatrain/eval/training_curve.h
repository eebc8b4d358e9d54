/* SPDX-License-Identifier: Apache-2.0
 *
 * training_curve.h - the training curve of one optimizer on one task with one seed (docs/evaluation.md).
 *
 *     mt_curve_plan plan = {.seed = 1, .steps = 500, .every = 10, .batches = 5, .last_batches = 20,
 *                           .splits = MT_SPLIT(TASK_TRAIN) | MT_SPLIT(TASK_OUTER_VALID)};
 *     mt_point *points = calloc(mt_curve_points(&plan), sizeof *points);
 *     mt_compute_curve(task, opt, &plan, seed_index, points, &seconds, &err);
 *
 * Point i is taken after mt_curve_x(&plan, i) inner steps: at 0, every, 2 every, ..., and at the last step.
 * Each split in the plan is measured as the mean over fresh batches, drawn with replacement; the last point
 * takes last_batches of them. The method is that of the field's evaluation code: Metz et al. 2022, VeLO.
 *
 * The sampled task, the initial parameters and every batch are addressed by (seed, task name, seed index,
 * step) and know nothing of the optimizer: two optimizers with one seed index see the same training, so
 * their difference is theirs, and the result is the same bits on any rank. */
#ifndef MT_TRAINING_CURVE_H
#define MT_TRAINING_CURVE_H

#include <stddef.h>
#include <stdint.h>

#include "lopt.h"
#include "task.h"

#define MT_SPLIT(split) (1u << (split))

typedef struct mt_curve_plan {
    uint64_t seed;
    int64_t steps, every, batches, last_batches; /* all >= 1 */
    unsigned splits;                             /* MT_SPLIT(...) of those measured */
} mt_curve_plan;

typedef struct mt_point {
    /* By split. NaN for a split not in the plan; accuracy NaN where the task has none. loss may be NaN or
     * infinite after a divergence; normalised is then the task's bound, where it has one. */
    double loss[TASK_N_SPLITS], normalised[TASK_N_SPLITS], accuracy[TASK_N_SPLITS];
} mt_point;

size_t mt_curve_points(const mt_curve_plan *plan);
int64_t mt_curve_x(const mt_curve_plan *plan, size_t point);

/* points[mt_curve_points(plan)]; *seconds: time in inner steps, batches and gradients included, evaluation
 * left out. 1, or 0 and a message if the optimizer cannot train these tensors or memory is out. */
int mt_compute_curve(const task *t, const lopt_optimizer *opt, const mt_curve_plan *plan, int64_t seed_index,
                     mt_point *points, double *seconds, lopt_error *err);

/* The same an inner step at a time, for a rank that does other things between. All arguments are borrowed. */
typedef struct mt_training mt_training;
mt_training *mt_curve_open(const task *t, const lopt_optimizer *opt, const mt_curve_plan *plan, int64_t seed_index,
                           mt_point *points, lopt_error *err); /* NULL and a message */
int mt_step_curve(mt_training *c);                             /* 0: the last point is taken */
double mt_curve_seconds(const mt_training *c);                 /* in inner steps so far */
void mt_curve_close(mt_training *c);                           /* NULL is fine */

#endif
