/* SPDX-License-Identifier: Apache-2.0
 *
 * validation.h - theta judged on chosen tasks while it is meta-trained (keys evaluate.*).
 *
 *     mt_snapshot_open(&s, cfg, &err);                         every rank, if evaluate.every > 0
 *     mt_snapshot_begin(&s, theta);                            every rank, when the coordinator says so
 *     for (j = place; j < s.n_jobs; j += n_live)
 *         mt_snapshot_run(&s, j, between, listener, &loss, &err);  inner trainings dealt to this rank
 *     s.loss[j] = ...                                          coordinator: of every job
 *     if (mt_snapshot_finish(&s, step)) ...                    coordinator: 1 if it is the best so far
 *
 * A job is one inner training (training_curve.h) of evaluate.steps steps on one task with one seed; its loss is the
 * task's normalised loss on outer_valid at the last step. The score is the mean of these over seeds and, by
 * their weights, over tasks: lower is better. All snapshots see the same initial parameters and batches,
 * so scores of one run differ by theta alone. Nothing here touches what meta-training depends on, and
 * scores are the same bits on any number of ranks. */
#ifndef MT_SNAPSHOT_H
#define MT_SNAPSHOT_H

#include "config/config.h"

typedef struct mt_snapshot {
    const mt_config *cfg; /* borrowed */
    lopt_optimizer *optimizer;
    int n_tasks; /* 0: there is nothing to evaluate */
    task *task[MT_MAX_TASKS];
    double weight[MT_MAX_TASKS]; /* sum to 1 */
    int64_t n_jobs;
    double *loss;                   /* [n_jobs]: task j / seeds, seed j mod seeds */
    double task_loss[MT_MAX_TASKS]; /* of the last finished evaluation: mean over seeds, */
    double score;                   /* and over tasks; NaN before the first */
    double best;                    /* least score so far; NaN before the first */
    int64_t step;                   /* outer step of task_loss and score; -1: none */
} mt_snapshot;

/* Does nothing where evaluate.every is 0. 0 and a sentence if a task cannot be made. */
int mt_snapshot_open(mt_snapshot *s, const mt_config *cfg, lopt_error *err);
void mt_snapshot_close(mt_snapshot *s); /* fine on a half-open one */
int mt_snapshot_is_due(const mt_snapshot *s, int64_t step);
void mt_snapshot_begin(mt_snapshot *s, const float *theta);
/* between (may be NULL): called between inner steps with listener. 0 and a sentence if memory is out. */
int mt_snapshot_run(mt_snapshot *s, int64_t job, void (*between)(void *), void *listener, double *loss,
                    lopt_error *err);
int mt_snapshot_finish(mt_snapshot *s, int64_t step);

#endif
