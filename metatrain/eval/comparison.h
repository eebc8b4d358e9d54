/* SPDX-License-Identifier: Apache-2.0
 *
 * comparison.h - many optimizers on the same tasks, over all ranks (docs/evaluation.md).
 *
 *     mt_comparison *c = mt_comparison_create(suite, thetas, n_thetas, untrained, &err);
 *     mt_comparison_run(c, comm);                every rank calls it; the results are rank 0's
 *     mt_comparison_print(c, stdout);            comparison_report.c
 *     mt_comparison_free(c);
 *
 * An entry is one line of the final table: a baseline of the suite, a theta file given by the user, or the
 * same optimizer with the theta it had before meta-training. An entry that sweeps its learning rate, or searches
 * NAdamW's hyperparameters at random, has several trials: it is first trained with each of them on
 * MT_SWEEP_SEEDS seeds that the final runs do not use, and the one with the lowest mean loss on the inner
 * validation split after the last step is taken; only then is it trained, like every other, on
 * the seeds that are reported. All entries meet the same tasks, initial parameters and batches, seed by
 * seed. A run that diverges counts with the task's loss bound; none is left out.
 *
 * A cell (entry, task, trial, seed) is one run of mt_compute_curve and takes one rank. Cells are assigned out by a
 * fixed rule, results are put together by cell number: the same bits on any number of ranks, times apart.
 */
#ifndef MT_COMPARISON_H
#define MT_COMPARISON_H

#include "config/config.h"
#include "eval/training_curve.h"
#include "ranks/transport.h"

#define MT_SWEEP_SEEDS 5 /* Metz et al. 2022 */

typedef struct mt_entry {
    char label[96];
    char theta_path[MT_PATH]; /* "" if the theta is not from a file */
    char digest[33];          /* of theta; "" for a hand-designed optimizer */
    int n_trials;             /* 1, or the length of the sweep or search */
    int searched;             /* trials are rows 0, 1, ... of search_seed (metatrain/eval/nadamw_search.h) */
    uint64_t search_seed;
    lopt_optimizer *opt[MT_MAX_SEARCH]; /* [n_trials] */
} mt_entry;

/* What an entry did on a task. */
typedef struct mt_outcome {
    double *sweep_loss; /* [n_trials]; mean over sweep seeds, inner validation, after the last step */
    int chosen;         /* trial */
    mt_point *points;   /* [seeds][mt_curve_points] */
    double *seconds;    /* [seeds] one inner step */
} mt_outcome;

typedef struct mt_comparison {
    mt_suite *suite; /* borrowed */
    mt_curve_plan plan, sweep_plan;
    int n_tasks, n_entries;
    task *tasks[MT_MAX_TASKS];
    mt_entry *entries;
    mt_outcome *outcomes; /* [n_tasks][n_entries] */
} mt_comparison;

/* thetas: paths of theta files, each an entry before those of the suite; untrained: and their optimizers
 * before meta-training. NULL and a sentence if a task, an optimizer or a file cannot be used, or an
 * optimizer cannot train a task's tensors. */
mt_comparison *mt_comparison_create(mt_suite *suite, const char *const *thetas, int n_thetas, int untrained,
                                    lopt_error *err);
void mt_comparison_free(mt_comparison *c);

/* Every rank has created the same comparison. A rank that runs out of memory says so and ends all ranks. */
void mt_comparison_run(mt_comparison *c, mt_transport *comm);

mt_outcome *mt_comparison_outcome(const mt_comparison *c, int task_index, int entry);
/* Mean and standard error over the seeds of a split's loss (bounded as above) after the last step. */
typedef struct mt_mean {
    double mean, error; /* error: NaN for one seed */
} mt_mean;
mt_mean mt_comparison_loss(const mt_comparison *c, int task_index, int entry, task_split split);
mt_mean mt_comparison_accuracy(const mt_comparison *c, int task_index, int entry, task_split split);
double mt_comparison_step_seconds(const mt_comparison *c, int task_index, int entry); /* median over seeds */
mt_mean mt_mean_of(const double *values, size_t n);                                   /* NaN and inf pass through */

/* comparison_report.c: a table for each task; results.json, timing.json and curves.svg in a folder. */
void mt_comparison_print(const mt_comparison *c, FILE *f);
int mt_comparison_write(const mt_comparison *c, const char *dir, lopt_error *err);
int mt_comparison_plot(const mt_comparison *c, const char *svg_path, lopt_error *err);

#endif
