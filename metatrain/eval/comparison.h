/* SPDX-License-Identifier: Apache-2.0
 *
 * comparison.h - which optimizers are compared on which tasks (docs/evaluation.md), and how one training of them runs.
 *
 *     mt_comparison *c = mt_comparison_create(suite, thetas, n_thetas, untrained, &err);      the same on every rank
 *     lopt_optimizer *opt = mt_make_trial(c, entry, trial, rate, &err);                       what a cell trains with
 *     mt_cell_key(c, &cell, key, &err);                                                       what determines its result
 *     mt_comparison_free(c);
 *
 * An entry is one line of the final table: a baseline of the suite, a theta file given by the user, or the same
 * optimizer with the theta it had before meta-training. An entry that sweeps its learning rate, or searches NAdamW's
 * hyperparameters at random, has several trials: it is first trained with each of them on suite->sweep_seeds seeds
 * that the final runs do not use, and the one with the lowest mean loss on the inner validation split after the last
 * step is taken; only then is it trained, like every other, on the seeds that are reported.
 *
 * A cell is one training: (task, entry, trial, seed). evaluation.h runs them. */
#ifndef MT_COMPARISON_H
#define MT_COMPARISON_H

#include "base/digest.h"
#include "config/config.h"
#include "eval/training_curve.h"

#define MT_SWEEP_SEED_0 1000000 /* seeds of sweeps and searches count from here, reported seeds from 0 */

typedef struct mt_entry {
    char label[96];
    char theta_path[MT_PATH];    /* "" if the theta is not from a file */
    char digest[33];             /* of theta; "" for a hand-designed optimizer */
    const mt_baseline *baseline; /* of the suite; NULL: from the command line */
    lopt_optimizer *optimizer;   /* with the settings of the suite, before any trial */
} mt_entry;

typedef struct mt_comparison {
    const mt_suite *suite; /* borrowed */
    mt_curve_plan plan, sweep_plan;
    int n_tasks, n_entries;
    task *tasks[MT_MAX_TASKS];
    char (*task_key)[MT_DIGEST_HEX]; /* [n_tasks]; "": not known yet */
    mt_entry *entries;
} mt_comparison;

typedef struct mt_cell {
    int32_t task, entry, trial, is_final; /* is_final: with plan, else sweep_plan */
    double rate;                          /* of a sweep's trial */
    int64_t seed_index;
} mt_cell;

/* thetas: paths of theta files, each an entry before those of the suite; untrained: and their optimizers before
 * meta-training. NULL and a sentence if a task, an optimizer or a file cannot be used, an optimizer cannot train a
 * task's tensors, or two entries have one label. */
mt_comparison *mt_comparison_create(const mt_suite *suite, const char *const *thetas, int n_thetas, int untrained,
                                    lopt_error *err);
void mt_comparison_free(mt_comparison *c);

int mt_is_swept(const mt_entry *e);    /* trials are learning rates */
int mt_is_searched(const mt_entry *e); /* trials are rows of a random search (nadamw_search.h) */
/* Trials that the suite asks for: 1, or the length of the sweep or search. */
int mt_count_trials(const mt_comparison *c, int entry);
/* The optimizer of a trial, with its theta; rate counts for a sweep alone. NULL and a sentence. */
lopt_optimizer *mt_make_trial(const mt_comparison *c, int entry, int trial, double rate, lopt_error *err);

const mt_curve_plan *mt_plan_of(const mt_comparison *c, const mt_cell *cell);
/* Digest of everything that a cell's result depends on: the task's settings and what its data, model and kernels
 * compute (losses and gradients of a few batches of each split), the optimizer's settings and theta, the plan and the
 * seed; kernels and version of liblopt. 0 and a sentence: out of memory. */
int mt_cell_key(mt_comparison *c, const mt_cell *cell, char key[MT_DIGEST_HEX], lopt_error *err);
/* One line for people. */
void mt_describe_cell(const mt_comparison *c, const mt_cell *cell, char *text, size_t bytes);

#endif
