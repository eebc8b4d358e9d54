/* SPDX-License-Identifier: Apache-2.0
 *
 * outer_loop.c - rank 0: outer steps, checkpoints between them, and what to do when ranks are lost.
 *
 * One outer step, in reading order:
 *
 *     1. outer_loop.c        run_steps: an outer step, then a checkpoint where it is due
 *     2. step_sync.c         sync_step: the table of contents of an outer step (step_async.c: the other mode)
 *     3. assignment.c        who runs which particle, by predicted costs; steals while a window runs
 *     4. worker.c            every rank: windows of its particles, a slice at a time, and their reports
 *     5. particle_queue.c    the particles of a rank, and how they migrate
 *     6. es/unroll.c         a window: inner steps of both twins
 *     7. gradient_shares.c   reports -> gradient of theta, a share each (the formula: es/es_gradient.c)
 *     8. step_common.c       gradient -> theta (the rule: es/outer_optimizer.c), validation, outputs
 *
 * Where rank 0 waits (mt_wait_for in ranks/dispatch.c) it polls messages and works like the others; what it tells its
 * own worker is a message to itself, handled at the next poll. A rank that failed ends the wait: run_steps returns, and
 * run_to_end calls recovery.c.
 *
 * What rank 0 does that others do not: assignment, gradient -> theta, outputs, committing checkpoints, and noticing
 * that a rank failed. */
#include "run/outer_loop.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/stop_request.h"

#define THETA_EVERY_SECONDS 10.0 /* how far DIR/theta.h5 may lag behind between checkpoints */

static int write_profile(const mt_coordinator *c, lopt_error *err) {
    char path[MT_PATH + 16];
    mt_profile profile = mt_finish_profile(&c->profiler, &c->assignment.costs);
    if (!c->session->dir[0]) return 1;
    profile.message = c->session->dispatch.message_seconds;
    profile.noise_seconds = c->worker->gradient.noise_seconds;
    profile.gradient_seconds = c->worker->gradient.gradient_seconds;
    snprintf(path, sizeof path, "%s/costs.json", c->session->dir);
    return mt_profile_write(path, &profile, c->session->cfg, err);
}

static void write_outputs(mt_coordinator *c) {
    lopt_error err;
    mt_warn_on_error(mt_write_theta(&c->outputs, &err), &err);
    mt_warn_on_error(write_profile(c, &err), &err);
    mt_warn_on_error(mt_write_status(&c->outputs, MT_STATE_RUNNING, 0, &err), &err);
    c->profiler.last_report = 0; /* this took time that is not the coordinator's between windows */
}

/* Outer steps until the last one, a request to stop (returns its reason), or the loss of a rank. */
static const char *run_steps(mt_coordinator *c) {
    const char *reason = NULL;
    double theta_due = mt_wall_seconds() + THETA_EVERY_SECONDS;
    lopt_error err;
    while (c->counters.step < c->session->cfg->outer.steps && !(reason = mt_stop_reason())) {
        int64_t before = c->counters.step;
        if (!c->mode->step(c)) return NULL;
        int due = c->counters.step > before && mt_checkpoint_is_due(c, c->counters.step);
        if (due) {
            mt_warn_on_error(mt_save_checkpoint(&c->checkpoints, c->counters.step, mt_do_work, c->worker, &err), &err);
            mt_warn_on_error(mt_flush_outputs(&c->outputs, &err), &err);
        }
        if (due || mt_wall_seconds() > theta_due) {
            write_outputs(c);
            theta_due = mt_wall_seconds() + THETA_EVERY_SECONDS;
        }
    }
    return reason;
}

/* All of them, again whenever ranks were lost, and a last checkpoint; *reason of an early end. 0 and a message if that
 * could not be written. */
static int run_to_end(mt_coordinator *c, const char **reason, lopt_error *err) {
    const mt_membership *members = &c->session->members;
    for (;;) {
        *reason = run_steps(c);
        int saved =
            members->n_failed == 0 && mt_save_checkpoint(&c->checkpoints, c->counters.step, mt_do_work, c->worker, err);
        if (members->n_failed == 0) return saved;
        mt_progress_clear(&c->progress);
        if (!mt_recover_ranks(c, err)) return 0;
    }
}

int mt_run_outer_steps(mt_coordinator *c, int64_t resume_step) {
    lopt_error err = {LOPT_OK, ""}, ignored;
    const char *reason = NULL;
    c->session->members.timeout = c->session->cfg->faults.silence;
    int ok = mt_start_outputs(&c->outputs, resume_step, &err);
    if (ok) {
        if (resume_step < 0) /* where the loss of a rank leads back to */
            mt_warn_on_error(mt_save_checkpoint(&c->checkpoints, 0, mt_do_work, c->worker, &ignored), &ignored);
        mt_progress_start(&c->progress, "outer step", c->counters.step, c->session->cfg->outer.steps);
        int saved = run_to_end(c, &reason, &err);
        mt_progress_finish(&c->progress);
        ok = mt_write_theta(&c->outputs, saved ? &err : &ignored) && saved;
        mt_warn_on_error(write_profile(c, &ignored), &ignored);
        mt_print_summary(&c->outputs, reason, saved);
        mt_finish_plot(&c->outputs);
    }
    if (!ok) mt_print_error(&err);
    int status = !ok ? MT_FAILED : reason ? MT_STOPPED : MT_DONE;
    mt_state state = !ok ? MT_STATE_FAILED : reason ? MT_STATE_STOPPED : MT_STATE_DONE;
    mt_warn_on_error(mt_write_status(&c->outputs, state, status, &ignored), &ignored);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* theta, counters and the noise since the reset. */
static size_t list_own_items(void *owner, mt_item *items) {
    mt_coordinator *c = owner;
    const mt_es_gradient *es = &c->worker->gradient.es;
    size_t n = c->theta->n, particles = (size_t)c->session->cfg->particles, used = 0;
    c->saved_seconds = mt_total_seconds(&c->outputs);
    items[used++] = (mt_item){"theta", MT_FLOATS, c->theta->value, n};
    items[used++] = (mt_item){"counters", MT_INTEGERS, &c->counters, sizeof c->counters / sizeof(int64_t)};
    items[used++] = (mt_item){"seconds", MT_DOUBLES, &c->saved_seconds, 1};
    items[used++] = (mt_item){"noise_trajectory", MT_INTEGERS, es->trajectory, particles};
    items[used++] = (mt_item){"noise_last", MT_INTEGERS, es->last_noise, particles};
    if (es->sum) items[used++] = (mt_item){"noise_sum", MT_FLOATS, es->sum, particles * n};
    return used;
}

static size_t list_outer_items(void *owner, mt_item *items) {
    mt_outer *outer = owner;
    items[0] = (mt_item){"outer_m", MT_DOUBLES, outer->m, outer->n};
    items[1] = (mt_item){"outer_v", MT_DOUBLES, outer->v, outer->n};
    items[2] = (mt_item){"outer_sum", MT_DOUBLES, outer->sum, outer->n + 2};
    return outer->sum ? 3 : 2;
}

/* The time since the start of this run counts on when it returns to a checkpoint of its own. */
static int check_restored(void *owner, int64_t step, lopt_error *err) {
    mt_coordinator *c = owner;
    if (c->counters.step != step)
        return mt_error(err, LOPT_EARG, "%s: the checkpoint of outer step %lld says it is of step %lld",
                        c->session->dir, (long long)step, (long long)c->counters.step);
    c->outer.updates = c->counters.updates;
    c->outer.skipped = c->counters.skipped;
    if (c->outputs.started == 0) c->outputs.seconds_before = c->saved_seconds;
    return 1;
}

int mt_coordinator_open(mt_coordinator *c, mt_session *s, mt_meta_theta *theta, mt_worker *worker, lopt_error *err) {
    *c = (mt_coordinator){.session = s, .theta = theta, .worker = worker, .pool.idle_share = NAN};
    c->outputs = (mt_outputs){.session = s,
                              .theta = theta,
                              .counters = &c->counters,
                              .validation = &worker->validation,
                              .sampler = &worker->unroller.sampler};
    c->mode = s->cfg->outer.mode == MT_ASYNCHRONOUS ? &mt_step_async : &mt_step_sync;
    mt_checkpointing_open(&c->checkpoints, s);
    mt_contribute_items(&c->checkpoints, list_own_items, check_restored, c);
    mt_contribute_items(&c->checkpoints, list_outer_items, NULL, &c->outer);
    return mt_assignment_open(&c->assignment, s, err) && mt_profiler_open(&c->profiler, s->transport->size, err) &&
           mt_outer_open(&c->outer, s->cfg, theta->trainable, theta->n, err) && c->mode->open(c, err);
}

void mt_coordinator_close(mt_coordinator *c) {
    mt_close_outputs(&c->outputs);
    if (c->mode) c->mode->close(c);
    mt_outer_close(&c->outer);
    mt_assignment_close(&c->assignment);
    mt_profiler_close(&c->profiler);
}
