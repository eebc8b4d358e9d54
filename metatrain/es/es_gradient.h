/* SPDX-License-Identifier: Apache-2.0
 *
 * es_gradient.h - how the losses of unrolls become a gradient of theta.
 *
 * The loss difference of a segment multiplies this noise or the sum since the reset, as the estimator says
 * (estimator.h). With D the difference of the twins' summed meta-losses in a
 * segment, n the meta-losses of the particle's window, and delta = std * eps already scaled:
 *
 *     gradient = 1/N  sum over particles, segments of  D/n * (delta or its sum) / (2 std^2)
 *
 * `estimator.clip` keeps D/n within [-clip, clip]. `estimator.shaping` replaces the mean meta-losses
 * of the 2N twins by other numbers f, smaller still being better, and D/n by (f+ - f-) times the
 * segment's share of n, all times shaping_scale:
 *
 *     sign          f+ - f- is -1, 0 or 1
 *     standardise   f in units of the standard deviation of the 2N (times std: GPES's loss normalisation)
 *     range         the smallest becomes -1, the largest 1
 *     centred_rank  ranks from -1/2 to 1/2; equal losses share the mean of their ranks
 *
 * The default is the clean form: the loss of a trajectory's last step belongs to the noise that
 * produced it, and a particle whose loss is not finite counts for nothing. `estimator.compat:
 * reference` is the published form: one particle that is not finite makes the whole gradient zero
 * (full ES: counts for nothing), nres and gpes divide by the meta-losses of all particles together
 * rather than by each particle's own; what else differs happens while unrolling (unroll.h).
 *
 * The sums since reset are kept here, one vector a particle, and follow from the reports alone.
 * Particles are added in order, so the bits do not depend on who ran what.
 *
 *     mt_compute_gradient(&e, report, &summary);         all of it; or, with `of` ranks (gradient_shares.c):
 *
 *     mt_plan_gradient(&e, report);              what each particle's noise is multiplied by -> e.plan
 *     mt_compute_chunk(&e, k);                  for k = e.first .. e.last - 1, each rank with the same plan
 *     mt_finish_gradient(&e, report, &summary);  when gradient and squares of all chunks are there
 *
 * A chunk of theta (noise.h) depends on the plan alone, so who makes it does not show in the bits. */
#ifndef MT_ES_GRADIENT_H
#define MT_ES_GRADIENT_H

#include "config/config.h"
#include "es/estimator.h"
#include "es/noise.h"
#include "es/window_report.h"

/* Of a segment: what happens to the noise that its loss difference multiplies, and the factor. */
typedef struct mt_action {
    double weight;
    int64_t noise;
    int32_t restart; /* from zero */
    int32_t add;     /* draw `noise` */
    int32_t counts, unused;
} mt_action;

/* Of a report. */
typedef struct mt_plan {
    int64_t particle, n_actions;
    mt_action action[MT_MAX_SEGMENTS];
} mt_plan;

typedef struct mt_es_gradient {
    const mt_estimator_config *how; /* borrowed */
    const mt_rule *rule;
    mt_noise noise;
    int64_t particles;
    int64_t n_reports; /* of an outer step: one a particle, unless mt_es_gradient_expect said otherwise */
    int64_t n_counted; /* that are not stale: the gradient is their mean */
    int64_t room;      /* for so many reports */
    mt_chunk *chunk;   /* [n_chunks] of theta */
    size_t n_chunks;
    size_t first, last;  /* chunks of this share: first .. last - 1 */
    size_t from, width;  /* parameters of theta in sum */
    float *sum;          /* [particles][width]: noise since reset; NULL unless the rule needs it */
    int64_t *trajectory; /* [particles]: whose noise is in sum; -1 before the first report */
    int64_t *last_noise; /* [particles]: last draw added to sum */
    double *fitness;     /* [2 room]: mean meta-loss of each twin, then what shaping makes of it */
    size_t *order;       /* [2 room] scratch of ranking */
    mt_plan *plan;       /* [room] */
    double *gradient;    /* [n] result */
    double *squares;     /* [n_chunks]: of what each report adds there, over reports */
} mt_es_gradient;

/* With all sums and as its share all chunks. */
int mt_es_gradient_open(mt_es_gradient *e, const mt_estimator_config *how, mt_noise noise, int64_t particles,
                        lopt_error *err);
/* With the sums of share `place` of `of` alone. */
int mt_es_gradient_open_share(mt_es_gradient *e, const mt_estimator_config *how, mt_noise noise, int64_t particles,
                              int place, int of, lopt_error *err);
void mt_es_gradient_close(mt_es_gradient *e);
/* The next outer step has n reports: several of a particle, in the order of its windows, or none. */
int mt_es_gradient_expect(mt_es_gradient *e, int64_t n, lopt_error *err);

/* Of a task of the mixture in one outer step. */
typedef struct mt_task_summary {
    int64_t particles;    /* that made an inner step on it, diverged ones left out */
    double meta_loss;     /* mean over those particles and their twins; NaN for no particle */
    double meta_loss_std; /* over those particles */
} mt_task_summary;

/* What the particles of one outer step gave, for people. */
typedef struct mt_outer_summary {
    double meta_loss;     /* mean over particles and twins */
    double meta_loss_std; /* over particles */
    /* Squared norm of the gradient over its variance, estimated from the spread of the particles:
     * about 1 where it is noise alone. NaN for one particle. */
    double signal_to_noise;
    int64_t non_finite, dropped, finished, inner_steps, reports, stale;
    int64_t finished_length; /* of the trajectories that finished, together */
    double seconds;          /* of all windows together */
    double staleness;        /* mean and largest of the reports that count, in outer steps (step_async.c) */
    int64_t staleness_max;
    mt_task_summary task[MT_MAX_TASKS];
} mt_outer_summary;

/* How many ranks share the gradient; trained: parameters of theta, chunks: of these. */
int mt_count_shares(const mt_config *cfg, int64_t particles, int64_t trained, int64_t chunks, int ranks);
/* Makes e->first and e->last those of share `place` of `of`, whatever the sums here. */
void mt_select_share(mt_es_gradient *e, int place, int of);
/* Numbers of theta from the first to the last of a share; *from: the first. */
size_t mt_share_range(const mt_es_gradient *e, int place, int of, size_t *from);

void mt_plan_gradient(mt_es_gradient *e, const mt_report *report);
void mt_compute_chunk(mt_es_gradient *e, size_t k);
void mt_finish_gradient(mt_es_gradient *e, const mt_report *report, mt_outer_summary *summary);
/* report[n_reports], in particle order -> e->gradient and summary. */
void mt_compute_gradient(mt_es_gradient *e, const mt_report *report, mt_outer_summary *summary);

#endif
