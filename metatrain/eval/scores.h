/* SPDX-License-Identifier: Apache-2.0
 *
 * scores.h - optimizers compared over all tasks of an evaluation, each run with the run of the reference that has the
 * same task and seed (docs/evaluation.md).
 *
 *     mt_print_scores(r, stdout);                                    a line an optimizer
 *     mt_entry_scores *s = mt_score_entries(r, TASK_OUTER_VALID, &err);
 *     s[e].final_loss.iqm.value, s[e].tasks[t].verdict, ...           e: entry of r, t: task of r
 *     free(s);
 *
 * The reference is entry mt_find_reference(r), Adam with the learning rate that was best on the sweep's seeds. (Celo's
 * scores, whose exact recipe is known here at second hand, take the best of the sweep seed by seed, after the fact; a
 * reference chosen on other seeds is a little weaker.) All scores are from the loss as it is, not the normalised one,
 * of one split. Smoothed: by mt_smooth_curve, factor 0.9. A run has diverged if its loss after the last step is NaN or
 * infinite; its scores are 0.
 *
 *     final_loss     final smoothed loss of the reference / own; 0 if either run diverged or own <= 0. Above 1 is
 *                    better than tuned Adam.
 *     speed_up       steps / first measured step after 0 where the own smoothed loss is down at the reference's final
 *                    smoothed loss; 0 if it never is. 2: Adam's result in half of its steps.
 *     inverse_curve  how far tuned Adam has to train to reach the own last loss, as a share of its steps: at most 1.
 *                    Adam's curve is its mean over seeds, smoothed with factor 0.95, as running minimum, linear
 *                    between points.
 *     log_ratio      log of (final smoothed loss of the reference / own), within +-log MT_LARGEST_RATIO. A diverged
 *                    run has an infinite loss, a loss below 0 is 0, and equal losses, infinite ones too, give 0.
 *
 * Sources: Moudgil et al. 2025, Celo (final_loss, speed_up); Metz et al. 2022, VeLO, and its code (inverse_curve, there
 * from a longer Adam and resampled at 512 points). */
#ifndef MT_SCORES_H
#define MT_SCORES_H

#include <stdio.h>

#include "eval/results.h"
#include "eval/statistics.h"

#define MT_LARGEST_RATIO 1000.0

typedef enum mt_verdict { MT_LOST = -1, MT_TIED, MT_WON } mt_verdict;

/* An entry against the reference on one task. */
typedef struct mt_task_score {
    mt_interval log_ratio; /* mean over seeds, Student's t */
    mt_verdict verdict;    /* won or lost: the interval excludes 0; with one seed: the value is not 0 */
    int diverged;          /* runs */
} mt_task_score;

typedef struct mt_entry_scores {
    const double *final_losses, *speed_ups, *inverse_curves; /* scores of runs, [seeds][n_tasks] */
    mt_aggregates final_loss, speed_up, inverse_curve;
    mt_interval improvement;    /* mt_estimate_improvement of final_losses over those of the reference */
    mt_interval log_ratio;      /* mean over tasks and seeds, bootstrap */
    int won, tied, lost;        /* tasks */
    int diverged;               /* runs, of seeds * n_tasks */
    const mt_task_score *tasks; /* [n_tasks] */
} mt_entry_scores;

/* [n_entries], in one block for the caller to free. The split is one that was measured. NULL and a message if r has no
 * Adam or memory is out. */
mt_entry_scores *mt_score_entries(const mt_results *r, task_split split, lopt_error *err);

/* A table over all tasks by validation loss (outer_valid), the best IQM of final_loss first; one sentence if r has no
 * Adam. At most 100 columns. */
void mt_print_scores(const mt_results *r, FILE *f);

#endif
