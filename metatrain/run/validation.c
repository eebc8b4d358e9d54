/* SPDX-License-Identifier: Apache-2.0
 *
 * validation.c - see validation.h. */
#include "run/validation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

/* ---- jobs ------------------------------------------------------------------------------------ */

static void begin_job(mt_validation *v) {
    lopt_error err;
    int64_t seeds = v->session->cfg->evaluate.seeds;
    v->start = mt_process_seconds();
    v->curve = mt_curve_open(v->task[v->job / seeds], v->optimizer, &v->plan, v->job % seeds, v->point, &err);
    if (!v->curve) mt_abort_ranks(v->session->transport, mt_print_error(&err));
}

static void finish_job(mt_validation *v) {
    mt_scores scores = {.job = v->job, .loss = v->point[1].normalised[TASK_OUTER_VALID]};
    mt_curve_close(v->curve);
    v->curve = NULL;
    scores.cpu = mt_process_seconds() - v->start;
    mt_post_message(&v->session->dispatch, 0, MT_TAG_SCORES, &scores, sizeof scores);
    v->job += v->session->members.n_live;
}

int mt_run_validation_job(void *validation) {
    mt_validation *v = validation;
    if (v->job >= v->n_jobs) return 0;
    if (!v->curve) begin_job(v);
    do {
        if (!mt_step_curve(v->curve)) {
            finish_job(v);
            return 1;
        }
    } while (!mt_poll_is_due(&v->session->dispatch));
    return 1;
}

void mt_abandon_validation(mt_validation *v) {
    mt_curve_close(v->curve);
    v->curve = NULL;
    v->job = v->n_jobs;
}

static void begin_jobs(mt_validation *v, const float *theta) {
    lopt_set_theta(v->optimizer, theta);
    v->job = mt_own_index(&v->session->members);
}

static int take_evaluate(void *self, const mt_message *m) {
    mt_validation *v = self;
    mt_post_down_tree(&v->session->dispatch, v->session->members.n_live, MT_TAG_EVALUATE, m->data, m->n);
    begin_jobs(v, m->data);
    return 1;
}

/* ---- rank 0 ---------------------------------------------------------------------------------- */

static int take_scores(void *self, const mt_message *m) {
    mt_validation *v = self;
    mt_scores scores;
    memcpy(&scores, m->data, sizeof scores);
    if (scores.job < 0 || scores.job >= v->n_jobs) return 0;
    v->loss[scores.job] = scores.loss;
    v->cpu_seconds += scores.cpu;
    v->pending--;
    return 1;
}

/* 1 if it is the best so far. */
static int compute_score(mt_validation *v) {
    int64_t seeds = v->session->cfg->evaluate.seeds;
    v->score = 0;
    for (int i = 0; i < v->n_tasks; i++) {
        v->task_loss[i] = 0;
        for (int64_t k = 0; k < seeds; k++) v->task_loss[i] += v->loss[i * seeds + k] / (double)seeds;
        v->score += v->weight[i] * v->task_loss[i];
    }
    if (!(v->score < v->best || (isnan(v->best) && isfinite(v->score)))) return 0;
    v->best = v->score;
    return 1;
}

int mt_validate_theta(mt_validation *v, const float *theta, int64_t step) {
    v->pending = v->n_jobs;
    v->cpu_seconds = 0;
    mt_post_down_tree(&v->session->dispatch, v->session->members.n_live, MT_TAG_EVALUATE, theta,
                      lopt_n_theta(v->optimizer) * sizeof *theta);
    begin_jobs(v, theta);
    if (!mt_wait_for(&v->session->dispatch, &v->pending, mt_run_validation_job, v)) return -1;
    v->step = step;
    return compute_score(v);
}

int mt_validation_is_due(const mt_validation *v, int64_t step) {
    return v->n_tasks > 0 && step % v->session->cfg->evaluate.every == 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void register_validation(mt_validation *v) {
    size_t bytes = lopt_n_theta(v->optimizer) * sizeof(float);
    mt_dispatch *d = &v->session->dispatch;
    mt_register_handler(d, MT_TAG_EVALUATE, take_evaluate, v, bytes, bytes);
    mt_register_handler(d, MT_TAG_SCORES, take_scores, v, sizeof(mt_scores), sizeof(mt_scores));
}

int mt_validation_open(mt_validation *v, mt_session *s, lopt_error *err) {
    const mt_config *cfg = s->cfg;
    int own = cfg->evaluate.n_tasks > 0, n = own ? cfg->evaluate.n_tasks : cfg->n_tasks;
    const mt_task_config *tasks = own ? cfg->evaluate.tasks : cfg->tasks;
    double total = 0;
    *v = (mt_validation){.session = s, .score = NAN, .best = NAN, .step = -1};
    if (cfg->evaluate.every == 0) return 1;
    v->plan = (mt_curve_plan){.seed = cfg->seed,
                              .steps = cfg->evaluate.steps,
                              .every = cfg->evaluate.steps,
                              .batches = 1,
                              .last_batches = cfg->evaluate.batches,
                              .splits = MT_SPLIT(TASK_OUTER_VALID)};
    v->optimizer = mt_optimizer_create(&cfg->optimizer, cfg->file, err);
    if (!v->optimizer) return 0;
    for (int i = 0; i < n; i++) total += tasks[i].weight;
    for (; v->n_tasks < n; v->n_tasks++) {
        v->weight[v->n_tasks] = tasks[v->n_tasks].weight / total;
        if (!(v->task[v->n_tasks] = task_create(&tasks[v->n_tasks].spec, err))) return 0;
    }
    v->job = v->n_jobs = n * cfg->evaluate.seeds;
    v->loss = calloc((size_t)v->n_jobs, sizeof *v->loss);
    register_validation(v);
    return v->loss || mt_error(err, LOPT_ENOMEM, "out of memory for a validation on %d tasks", n);
}

void mt_validation_close(mt_validation *v) {
    mt_curve_close(v->curve);
    for (int i = 0; i < v->n_tasks; i++) task_destroy(v->task[i]);
    lopt_destroy(v->optimizer);
    free(v->loss);
    *v = (mt_validation){0};
}
