/* SPDX-License-Identifier: Apache-2.0
 *
 * step_common.c - see coordinator.h. */
#include <math.h>

#include "base/clock.h"
#include "base/error.h"
#include "run/coordinator.h"

int mt_check_report(const mt_coordinator *c, const mt_report *r) {
    const mt_config *cfg = c->session->cfg;
    int ok = mt_check_counters(cfg, &r->at) && r->particle == r->at.number && r->window <= c->counters.step &&
             r->n_segments >= 0 && r->n_segments <= MT_MAX_SEGMENTS && r->n_task_steps >= 0 &&
             r->n_task_steps <= MT_MAX_SEGMENTS;
    for (int k = 0; ok && k < r->n_segments; k++) ok = r->segment[k].task >= 0 && r->segment[k].task < cfg->n_tasks;
    for (int64_t k = 0; ok && k < r->n_task_steps; k++)
        ok = r->task_steps[k].task >= 0 && r->task_steps[k].task < cfg->n_tasks;
    return ok;
}

int mt_checkpoint_is_due(const mt_coordinator *c, int64_t step) {
    return step % c->session->cfg->checkpoint.every == 0 && step < c->session->cfg->outer.steps;
}

void mt_update_theta(mt_coordinator *c, const mt_outer_summary *summary, mt_outer_norms *norms) {
    mt_outer_update(&c->outer, c->worker->gradient.es.gradient, c->theta->value, norms);
    c->counters.step++;
    c->counters.inner_steps += summary->inner_steps;
    c->counters.non_finite += summary->non_finite;
    c->counters.dropped += summary->dropped;
    c->counters.updates = c->outer.updates;
    c->counters.skipped = c->outer.skipped;
}

static int validate_theta(mt_coordinator *c) {
    lopt_error err;
    mt_validation *v = &c->worker->validation;
    if (!mt_validation_is_due(v, c->counters.step)) return 1;
    int is_best = mt_validate_theta(v, c->theta->value, c->counters.step);
    c->profiler.last_report = 0; /* the time for it is not the coordinator's between windows */
    c->profiler.cpu_validation += v->cpu_seconds;
    if (is_best > 0) mt_warn_on_error(mt_write_best(&c->outputs, &err), &err);
    return is_best >= 0;
}

int mt_conclude_step(mt_coordinator *c, const mt_outer_summary *summary, const mt_outer_norms *norms, double start) {
    double seconds = mt_wall_seconds() - start;
    if (!validate_theta(c)) return 0;
    double overhead = mt_learn_overhead(&c->profiler, summary->seconds, mt_gradient_cpu_seconds(&c->worker->gradient));
    mt_step_record record = {summary, norms, seconds, c->pool.idle_share, overhead};
    mt_record_step(&c->outputs, &record, &c->progress);
    return 1;
}
