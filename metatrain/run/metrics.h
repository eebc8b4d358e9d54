/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.h - metrics.jsonl, the history of a meta-training run: one JSON object a line, one line an outer
 * step, in the order of the fields below.
 *
 *     mt_metrics *m = mt_metrics_open("DIR/metrics.jsonl", -1, &err);        a new history
 *     mt_metrics *m = mt_metrics_open("DIR/metrics.jsonl", step, &err);      on resume from outer step `step`
 *     mt_metrics_write(m, &row, &err);                                       once per outer step
 *     mt_metrics_close(m);
 *     mt_metrics_row *rows = mt_metrics_read("DIR/metrics.jsonl", &n, &err); for plots; free(rows)
 *
 * On resume, lines past the restored step are dropped (atomic_file.h), as is a last line
 * cut short by a kill, so the history has every outer step once. Each line reaches the kernel in one write;
 * a reader (tail -f) never sees half a line. A number that is not finite is written as null and read as NaN.
 *
 * Errors   functions return NULL or 0 and one sentence that names the file. */
#ifndef MT_METRICS_H
#define MT_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "es/es_gradient.h"
#include "lopt.h"
#include "run/tensorboard.h"

typedef struct mt_metrics_row {
    int64_t outer_step;            /* 1 after the first update of theta */
    double meta_loss;              /* mean over particles and their twins */
    double meta_loss_std;          /* standard deviation over particles of the mean of the twins */
    double gradient_norm;          /* before clipping */
    double signal_to_noise;        /* of the gradient (es_gradient.h); about 1 where it is noise alone */
    double update_norm;            /* of the change of theta */
    double theta_norm;             /* after the update */
    double learning_rate;          /* of the outer optimizer in this step */
    int64_t non_finite;            /* losses that were not finite in this step */
    int64_t dropped;               /* windows that were discarded: a loss without bound diverged */
    int64_t skipped;               /* 1 if the gradient was not finite and theta stayed */
    int64_t resets;                /* trajectories that ended in this step */
    double trajectory_length;      /* their mean length; NaN where none ended */
    int64_t inner_steps;           /* of both twins, since outer step 0, earlier runs included */
    double inner_steps_per_second; /* in this step */
    double idle_share;             /* wall time of the ranks in this step outside windows; 0..1 */
    double staleness;              /* asynchronous (step_async.c): mean age in outer steps of the windows that count */
    int64_t staleness_max;
    double stale_share;   /* of the windows that came, those dropped as too old */
    double outside_share; /* CPU time of the ranks since the last step outside windows; 0..1 */
    double seconds;       /* since outer step 0, earlier runs included */
    /* Of a mixture, after the fields above: "task_meta_loss", "task_meta_loss_std" and
     * "task_particles", arrays in the order of the configuration's tasks (es_gradient.h). n_tasks 0:
     * none are written; read: always 0. */
    int n_tasks;
    const mt_task_summary *task; /* [n_tasks], borrowed */
    /* Of a step after which theta was evaluated (validation.h), then: "eval_score", "eval_best" so far
     * and "eval_task_loss". n_eval 0: none are written; read: always 0, and the scores of other steps are NaN. */
    int n_eval;
    double eval_score, eval_best;
    const double *eval_task_loss; /* [n_eval], borrowed */
} mt_metrics_row;

/* Room for the fields of a row, its tasks, and those of an evaluation. */
enum { MT_METRICS_SCALARS = 32 + 2 * MT_MAX_TASKS };

typedef struct mt_metrics mt_metrics;

/* keep_through: the last outer step whose line is kept; negative: a new history replaces the file. */
mt_metrics *mt_metrics_open(const char *path, int64_t keep_through, lopt_error *err);
int mt_metrics_write(mt_metrics *m, const mt_metrics_row *row, lopt_error *err);
void mt_metrics_close(mt_metrics *m); /* NULL is fine */

/* The fields of a row but its outer step as TensorBoard groups them, "gradient/gradient_norm";
 * returns their number. */
size_t mt_metrics_scalars(const mt_metrics_row *row, mt_scalar scalars[MT_METRICS_SCALARS]);

/* All rows of a history, *n of them; the caller frees. A last line cut short is left out. */
mt_metrics_row *mt_metrics_read(const char *path, size_t *n, lopt_error *err);

#endif
