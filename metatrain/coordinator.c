/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator.c - rank 0: outer steps. See run.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "run.h"
#include "stop.h"

#define THETA_EVERY_SECONDS 10.0 /* how far DIR/theta.h5 may lag behind between restart points */

/* ---- one outer step ------------------------------------------------------------------------ */

static void send_window(mt_run *run, int64_t window) {
    size_t theta_bytes = lopt_n_theta(run->optimizer) * sizeof(float),
           bytes = sizeof window + theta_bytes;
    if (run->comm.size == 1)
        return;
    char *message = malloc(bytes);
    if (!message)
        mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &window, sizeof window);
    memcpy(message + sizeof window, run->theta, theta_bytes);
    for (int rank = 1; rank < run->comm.size; rank++)
        mt_comm_send(&run->comm, rank, MT_TAG_WINDOW, message, bytes);
    free(message);
}

/* A rank reports exactly the particles it holds, in order; anything else is a bug worth stopping for. */
static void take_reports(mt_run *run, int rank, const mt_report *reports, size_t n) {
    int64_t particle = rank;
    for (size_t i = 0; i < n; i++, particle += run->comm.size) {
        if (reports[i].particle != particle || reports[i].window != run->at.step ||
            particle >= run->cfg->particles)
            break;
        run->report[particle] = reports[i];
    }
    if (particle < run->cfg->particles) {
        fprintf(stderr,
                "metatrain: rank %d reported something else than window %lld of its particles\n",
                rank, (long long)run->at.step);
        mt_comm_abort(&run->comm, MT_FAILED);
    }
}

static void gather_reports(mt_run *run) {
    take_reports(run, 0, run->report_here, (size_t)run->n_here);
    for (int rank = 1; rank < run->comm.size; rank++) {
        size_t bytes;
        mt_report *reports = mt_comm_receive(&run->comm, rank, MT_TAG_REPORTS, NULL, NULL, &bytes);
        take_reports(run, rank, reports, bytes / sizeof *reports);
        free(reports);
    }
}

static void outer_step(mt_run *run, mt_progress *progress) {
    mt_outer_summary summary;
    mt_outer_norms norms;
    double start = mt_seconds();
    send_window(run, run->at.step);
    mt_run_windows(run, run->at.step);
    gather_reports(run);
    mt_estimate(&run->estimator, run->report, &summary);
    mt_outer_update(&run->outer, run->estimator.gradient, run->theta, &norms);
    run->at.step++;
    run->at.inner_steps += summary.inner_steps;
    run->at.non_finite += summary.non_finite;
    run->at.dropped += summary.dropped;
    run->at.updates = run->outer.updates;
    run->at.skipped = run->outer.skipped;
    mt_record(run, &summary, &norms, mt_seconds() - start, progress);
}

/* ---- the run ------------------------------------------------------------------------------- */

/* Outer steps until the last one or a request to stop (returns its reason). */
static const char *loop(mt_run *run, mt_progress *progress) {
    const char *reason = NULL;
    double theta_due = mt_seconds() + THETA_EVERY_SECONDS;
    lopt_error err;
    while (run->at.step < run->cfg->outer.steps && !(reason = mt_stop_reason())) {
        outer_step(run, progress);
        int point =
            run->at.step % run->cfg->checkpoint.every == 0 && run->at.step < run->cfg->outer.steps;
        if (point) {
            mt_harmless(mt_save(run, &err), &err);
            mt_harmless(!run->events || mt_event_file_flush(run->events, &err), &err);
        }
        if (point || mt_seconds() > theta_due) {
            mt_harmless(mt_write_theta(run, &err), &err);
            mt_harmless(mt_write_run_status(run, MT_STATE_RUNNING, 0, &err), &err);
            theta_due = mt_seconds() + THETA_EVERY_SECONDS;
        }
    }
    return reason;
}

int mt_coordinate(mt_run *run, int64_t resume_step) {
    lopt_error err = {LOPT_OK, ""}, ignored;
    mt_progress progress;
    const char *reason = NULL;
    run->started = mt_seconds();
    int ok = mt_open_outputs(run, resume_step, &err);
    if (ok) {
        mt_progress_start(&progress, "outer step", run->at.step, run->cfg->outer.steps);
        reason = loop(run, &progress);
        mt_progress_finish(&progress);
        int saved = mt_save(run, &err);
        ok = mt_write_theta(run, saved ? &err : &ignored) && saved;
        mt_print_summary(run, reason, saved);
        mt_finish_plot(run);
    }
    if (!ok)
        mt_complain(&err);
    int status = !ok ? MT_FAILED : reason ? MT_STOPPED : MT_DONE;
    mt_state state = !ok ? MT_STATE_FAILED : reason ? MT_STATE_STOPPED : MT_STATE_DONE;
    mt_harmless(mt_write_run_status(run, state, status, &ignored), &ignored);
    return status;
}
