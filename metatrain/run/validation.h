/* SPDX-License-Identifier: Apache-2.0
 *
 * validation.h - theta judged on chosen tasks while it is meta-trained (keys evaluate.*).
 *
 *     mt_validation_open(&v, session, &err);         every rank
 *     mt_run_validation_job(&v);                     every rank: a slice of the inner trainings assigned to it
 *     if (mt_validate_theta(&v, theta, step)) ...    rank 0
 *
 * A job is one inner training (eval/training_curve.h) of evaluate.steps steps on one task with one seed; its loss is
 * the task's normalised loss on outer_valid at the last step. The score is the mean of these over seeds and, by
 * their weights, over tasks: lower is better. All validations see the same initial parameters and batches, so scores
 * of one run differ by theta alone. Nothing here touches what meta-training depends on, and scores are the same bits
 * on any number of ranks: job j runs at the living rank j mod n_live. Handles EVALUATE and SCORES. */
#ifndef MT_VALIDATION_H
#define MT_VALIDATION_H

#include "eval/training_curve.h"
#include "run/session.h"

typedef struct mt_validation {
    mt_session *session; /* borrowed */
    lopt_optimizer *optimizer;
    int n_tasks; /* 0: there is nothing to validate */
    task *task[MT_MAX_TASKS];
    double weight[MT_MAX_TASKS]; /* sum to 1 */
    int64_t n_jobs;              /* job j is seed j mod seeds of task j / seeds */
    /* The jobs of this rank. */
    int64_t job; /* in hand or the next; n_jobs or more: none */
    mt_training *curve;
    mt_curve_plan plan;
    mt_point point[2]; /* at the first and the last step */
    double start;      /* CPU time of this process when the job began */
    /* Rank 0. */
    int64_t pending;                /* scores */
    double *loss;                   /* [n_jobs] */
    double cpu_seconds;             /* of all ranks, in the last validation */
    double task_loss[MT_MAX_TASKS]; /* of the last validation: mean over seeds, */
    double score;                   /* and over tasks; NaN before the first */
    double best;                    /* lowest score so far; NaN before the first */
    int64_t step;                   /* outer step of task_loss and score; -1: none */
} mt_validation;

/* Does nothing where evaluate.every is 0. 0 and a message if a task cannot be created. */
int mt_validation_open(mt_validation *v, mt_session *s, lopt_error *err);
void mt_validation_close(mt_validation *v);   /* fine on a half-open one */
void mt_abandon_validation(mt_validation *v); /* what this rank has in hand */
int mt_validation_is_due(const mt_validation *v, int64_t step);
int mt_run_validation_job(void *validation); /* an mt_work */
/* Rank 0: -1 if a rank was lost, 1 if the score is the best so far, else 0. */
int mt_validate_theta(mt_validation *v, const float *theta, int64_t step);

#endif
