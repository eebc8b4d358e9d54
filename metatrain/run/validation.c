/* SPDX-License-Identifier: Apache-2.0
 *
 * validation.c - see validation.h. */
#include "run/validation.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "eval/training_curve.h"

int mt_snapshot_open(mt_snapshot *s, const mt_config *cfg, lopt_error *err) {
    int own = cfg->evaluate.n_tasks > 0;
    const mt_task_config *tasks = own ? cfg->evaluate.tasks : cfg->tasks;
    int n = own ? cfg->evaluate.n_tasks : cfg->n_tasks;
    double total = 0;
    *s = (mt_snapshot){.cfg = cfg, .score = NAN, .best = NAN, .step = -1};
    if (cfg->evaluate.every == 0) return 1;
    s->optimizer = mt_optimizer_create(&cfg->optimizer, cfg->file, err);
    if (!s->optimizer) return 0;
    for (int i = 0; i < n; i++) total += tasks[i].weight;
    for (; s->n_tasks < n; s->n_tasks++) {
        s->weight[s->n_tasks] = tasks[s->n_tasks].weight / total;
        if (!(s->task[s->n_tasks] = task_create_task(&tasks[s->n_tasks].spec, err))) return 0;
    }
    s->n_jobs = n * cfg->evaluate.seeds;
    s->loss = calloc((size_t)s->n_jobs, sizeof *s->loss);
    return s->loss || mt_error(err, LOPT_ENOMEM, "out of memory for an evaluation of %d tasks", n);
}

void mt_snapshot_close(mt_snapshot *s) {
    for (int i = 0; i < s->n_tasks; i++) task_destroy_task(s->task[i]);
    lopt_destroy(s->optimizer);
    free(s->loss);
    *s = (mt_snapshot){0};
}

int mt_snapshot_is_due(const mt_snapshot *s, int64_t step) {
    return s->n_tasks > 0 && step % s->cfg->evaluate.every == 0;
}

void mt_snapshot_begin(mt_snapshot *s, const float *theta) {
    lopt_set_theta(s->optimizer, theta);
}

int mt_snapshot_run(mt_snapshot *s, int64_t job, void (*between)(void *), void *listener, double *loss,
                    lopt_error *err) {
    int64_t seeds = s->cfg->evaluate.seeds;
    mt_point point[2]; /* at the first and the last step */
    double seconds;
    mt_curve_plan plan = {.seed = s->cfg->seed,
                          .steps = s->cfg->evaluate.steps,
                          .every = s->cfg->evaluate.steps,
                          .batches = 1,
                          .last_batches = s->cfg->evaluate.batches,
                          .splits = MT_SPLIT(TASK_OUTER_VALID),
                          .between = between,
                          .listener = listener};
    int ok = mt_compute_curve(s->task[job / seeds], s->optimizer, &plan, job % seeds, point, &seconds, err);
    *loss = ok ? point[1].normalised[TASK_OUTER_VALID] : NAN;
    return ok;
}

int mt_snapshot_finish(mt_snapshot *s, int64_t step) {
    int64_t seeds = s->cfg->evaluate.seeds;
    s->score = 0;
    s->step = step;
    for (int i = 0; i < s->n_tasks; i++) {
        s->task_loss[i] = 0;
        for (int64_t k = 0; k < seeds; k++) s->task_loss[i] += s->loss[i * seeds + k] / (double)seeds;
        s->score += s->weight[i] * s->task_loss[i];
    }
    if (!(s->score < s->best || (isnan(s->best) && isfinite(s->score)))) return 0;
    s->best = s->score;
    return 1;
}
