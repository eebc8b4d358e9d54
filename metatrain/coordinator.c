/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator.c - rank 0: outer steps, restart points, what people see. See run.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "commands.h"
#include "plot.h"
#include "progress.h"
#include "run.h"
#include "status_file.h"
#include "stop.h"
#include "theta_file.h"

#define THETA_EVERY_SECONDS 10.0 /* how far DIR/theta.h5 may lag behind between restart points */

static void warn(const char *sentence) {
    fprintf(stderr, "metatrain: warning: %s\n", sentence);
}

/* Says so and forgets a failure of something that theta does not depend on. */
static int harmless(int ok, const lopt_error *err) {
    if (!ok)
        warn(err->text);
    return ok;
}

static double total_seconds(const mt_run *run) {
    return run->seconds_before + mt_seconds() - run->started;
}

/* ---- starting ------------------------------------------------------------------------------ */

/* A SETUP message: step to resume from, folder, configuration, the strings each with its closing
 * zero. */
void mt_send_setup(mt_run *run, int64_t resume_step) {
    if (run->comm.size == 1)
        return;
    char *text = mt_config_text(run->cfg);
    if (!text)
        mt_comm_abort(&run->comm, MT_FAILED);
    size_t dir = strlen(run->dir) + 1, config = strlen(text) + 1,
           bytes = sizeof resume_step + dir + config;
    char *message = malloc(bytes);
    if (!message)
        mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &resume_step, sizeof resume_step);
    memcpy(message + sizeof resume_step, run->dir, dir);
    memcpy(message + sizeof resume_step + dir, text, config);
    for (int rank = 1; rank < run->comm.size; rank++)
        mt_comm_send(&run->comm, rank, MT_TAG_SETUP, message, bytes);
    free(message);
    free(text);
}

int mt_receive_setup(mt_run *run, int64_t *resume_step, int *status, lopt_error *err) {
    int tag;
    size_t bytes;
    char *message = mt_comm_receive(&run->comm, 0, -1, NULL, &tag, &bytes);
    int begin = tag == MT_TAG_SETUP && bytes > sizeof *resume_step + 1 && message[bytes - 1] == 0;
    if (begin) {
        const char *dir = message + sizeof *resume_step;
        memcpy(resume_step, message, sizeof *resume_step);
        snprintf(run->dir, sizeof run->dir, "%s", dir);
        run->cfg =
            mt_config_parse(dir + strlen(dir) + 1, "the coordinator's configuration", NULL, 0, err);
    } else if (tag == MT_TAG_END && bytes == sizeof *status)
        memcpy(status, message, bytes);
    free(message);
    return begin;
}

int mt_ranks_are_ready(mt_run *run, int ok_here, lopt_error *err) {
    int ready = ok_here;
    for (int rank = 1; rank < run->comm.size; rank++) {
        size_t bytes;
        lopt_error *theirs = mt_comm_receive(&run->comm, rank, MT_TAG_READY, NULL, NULL, &bytes);
        if (bytes == sizeof *theirs && theirs->status != LOPT_OK && ready)
            *err = *theirs;
        ready = ready && bytes == sizeof *theirs && theirs->status == LOPT_OK;
        free(theirs);
    }
    return ready;
}

void mt_dismiss(mt_run *run, int status) {
    for (int rank = 1; rank < run->comm.size; rank++)
        mt_comm_send(&run->comm, rank, MT_TAG_END, &status, sizeof status);
}

/* ---- restart points ------------------------------------------------------------------------ */

/* What run.h5 holds besides the configuration; `sums` is absent for estimators without them. */
enum { RUN_ITEMS = 9 };
static size_t run_items(mt_run *run, double *seconds, mt_item items[RUN_ITEMS]) {
    size_t n = lopt_n_theta(run->optimizer), particles = (size_t)run->cfg->particles, used = 0;
    items[used++] = (mt_item){"theta", MT_FLOATS, run->theta, n};
    items[used++] = (mt_item){"counters", MT_INTEGERS, &run->at, sizeof run->at / sizeof(int64_t)};
    items[used++] = (mt_item){"seconds", MT_DOUBLES, seconds, 1};
    items[used++] = (mt_item){"outer_m", MT_DOUBLES, run->outer.m, n};
    items[used++] = (mt_item){"outer_v", MT_DOUBLES, run->outer.v, n};
    items[used++] =
        (mt_item){"noise_trajectory", MT_INTEGERS, run->estimator.trajectory, particles};
    items[used++] = (mt_item){"noise_last", MT_INTEGERS, run->estimator.last_noise, particles};
    if (run->estimator.sum)
        items[used++] = (mt_item){"noise_sum", MT_FLOATS, run->estimator.sum, particles * n};
    return used;
}

/* Every rank writes its shard, then the coordinator closes the point. A point that fails is
 * reported and tried again when the next is due: the run is worth more than one point of it. */
static int save(mt_run *run, lopt_error *err) {
    int64_t step = run->at.step;
    mt_item items[RUN_ITEMS];
    double seconds = total_seconds(run);
    size_t n = run_items(run, &seconds, items);
    char *text = mt_config_text(run->cfg);
    int ok = text ? mt_checkpoint_begin(run->dir, step, err)
                  : mt_error(err, LOPT_ENOMEM, "out of memory for a restart point");
    if (ok) {
        for (int rank = 1; rank < run->comm.size; rank++)
            mt_comm_send(&run->comm, rank, MT_TAG_SAVE, &step, sizeof step);
        ok = mt_run_save_particles(run, step, err);
        for (int rank = 1; rank < run->comm.size; rank++) {
            size_t bytes;
            lopt_error *theirs =
                mt_comm_receive(&run->comm, rank, MT_TAG_SAVED, NULL, NULL, &bytes);
            if (bytes != sizeof *theirs)
                mt_comm_abort(&run->comm, MT_FAILED);
            if (ok && theirs->status != LOPT_OK)
                *err = *theirs;
            ok = ok && theirs->status == LOPT_OK;
            free(theirs);
        }
        items[n++] = (mt_item){"config", MT_BYTES, text, strlen(text)};
        ok = ok && mt_checkpoint_commit(run->dir, step, run->comm.size, items, n,
                                        run->cfg->checkpoint.keep, err);
    }
    free(text);
    return ok;
}

int mt_restore(mt_run *run, int64_t step, lopt_error *err) {
    mt_item items[RUN_ITEMS];
    size_t n = run_items(run, &run->seconds_before, items);
    if (!mt_checkpoint_read_run(run->dir, step, items, n, err) ||
        !mt_run_load_particles(run, step, err))
        return 0;
    if (run->at.step != step)
        return mt_error(err, LOPT_EARG, "%s: the point of outer step %lld says it is of step %lld",
                        run->dir, (long long)step, (long long)run->at.step);
    run->outer.updates = run->at.updates;
    run->outer.skipped = run->at.skipped;
    return 1;
}

/* ---- what people see ----------------------------------------------------------------------- */

/* "0.5 of image_mlp fashion_mnist 8x8 64-32-10 relu, batch 64; 0.5 of ..." */
static void describe_tasks(const mt_run *run, char *text, size_t bytes) {
    double total = 0;
    size_t used = 0;
    for (int i = 0; i < run->cfg->n_tasks; i++)
        total += run->cfg->tasks[i].weight;
    for (int i = 0; i < run->cfg->n_tasks && used < bytes; i++) {
        const char *name = run->unroller.task[i]->name;
        used += (size_t)(run->cfg->n_tasks == 1
                             ? snprintf(text, bytes, "%s", name)
                             : snprintf(text + used, bytes - used, "%s%.3g of %s", i ? "; " : "",
                                        run->cfg->tasks[i].weight / total, name));
    }
}

static int write_theta(mt_run *run, lopt_error *err) {
    char path[MT_PATH + 16], seed[32], step[32], inner[32], tasks[2048];
    char *config = mt_config_text(run->cfg);
    snprintf(path, sizeof path, "%s/theta.h5", run->dir);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->cfg->seed);
    snprintf(step, sizeof step, "%lld", (long long)run->at.step);
    snprintf(inner, sizeof inner, "%lld", (long long)run->at.inner_steps);
    describe_tasks(run, tasks, sizeof tasks);
    const mt_note notes[] = {
        {"program", lopt_version()}, {"seed", seed},   {"outer_step", step},
        {"inner_steps", inner},      {"tasks", tasks}, {"config", config ? config : ""}};
    int ok =
        mt_theta_write(path, run->optimizer, run->theta, notes, sizeof notes / sizeof *notes, err);
    free(config);
    return ok;
}

/* A history that cannot be written is given up: theta does not depend on it. */
static void write_history(mt_run *run, const mt_metrics_row *row) {
    mt_scalar scalars[MT_METRICS_SCALARS];
    size_t n = mt_metrics_scalars(row, scalars);
    lopt_error err;
    if (run->metrics && !harmless(mt_metrics_write(run->metrics, row, &err), &err)) {
        mt_metrics_close(run->metrics);
        run->metrics = NULL;
    }
    if (run->events &&
        !harmless(mt_event_file_write(run->events, row->outer_step, scalars, n, &err), &err)) {
        mt_event_file_close(run->events);
        run->events = NULL;
    }
}

static void record(mt_run *run, const mt_outer_summary *sum, const mt_outer_norms *norms,
                   double seconds, mt_progress *progress) {
    char rate[16], line[96];
    double busy = sum->seconds / (seconds * run->comm.size);
    mt_metrics_row row = {.outer_step = run->at.step,
                          .meta_loss = sum->meta_loss,
                          .meta_loss_std = sum->meta_loss_std,
                          .gradient_norm = norms->gradient,
                          .signal_to_noise = sum->signal_to_noise,
                          .update_norm = norms->update,
                          .theta_norm = norms->theta,
                          .learning_rate = norms->learning_rate,
                          .non_finite = sum->non_finite,
                          .dropped = sum->dropped,
                          .skipped = norms->update == 0 && !isfinite(norms->gradient),
                          .resets = sum->finished,
                          .trajectory_length = (double)sum->finished_length / (double)sum->finished,
                          .inner_steps = run->at.inner_steps,
                          .inner_steps_per_second = (double)sum->inner_steps / seconds,
                          .idle_share = fmin(fmax(1 - busy, 0), 1),
                          .seconds = total_seconds(run)};
    write_history(run, &row);
    mt_format_count((double)run->at.inner_steps / total_seconds(run), rate, sizeof rate);
    if (isnan(sum->meta_loss))
        snprintf(line, sizeof line, "every window diverged  %s inner steps/s", rate);
    else
        snprintf(line, sizeof line, "meta-loss %.4f  %s inner steps/s", sum->meta_loss, rate);
    mt_progress_update(progress, run->at.step, line);
}

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
    record(run, &summary, &norms, mt_seconds() - start, progress);
}

/* ---- the run ------------------------------------------------------------------------------- */

static int write_status(const mt_run *run, mt_state state, int status, lopt_error *err) {
    mt_status now = {.state = state, .status = status, .outer_step = run->at.step};
    return mt_status_write(run->dir, &now, err);
}

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
            harmless(save(run, &err), &err);
            harmless(!run->events || mt_event_file_flush(run->events, &err), &err);
        }
        if (point || mt_seconds() > theta_due) {
            harmless(write_theta(run, &err), &err);
            harmless(write_status(run, MT_STATE_RUNNING, 0, &err), &err);
            theta_due = mt_seconds() + THETA_EVERY_SECONDS;
        }
    }
    return reason;
}

static void finish_plot(mt_run *run) {
    char history[MT_PATH + 16], curve[MT_PATH + 16];
    lopt_error err;
    mt_metrics_close(run->metrics);
    run->metrics = NULL;
    snprintf(history, sizeof history, "%s/metrics.jsonl", run->dir);
    snprintf(curve, sizeof curve, "%s/curve.svg", run->dir);
    if (harmless(mt_plot_training(history, curve, &err), &err))
        printf("curve:  %s\n", curve);
}

static void print_summary(const mt_run *run, const char *reason, int saved) {
    char digest[33], seconds[32];
    mt_theta_digest(run->optimizer, run->theta, digest);
    mt_format_seconds(total_seconds(run), seconds, sizeof seconds);
    printf("%s outer step %lld of %lld, %lld inner steps in %s\n",
           reason ? "stopped at" : "done:", (long long)run->at.step,
           (long long)run->cfg->outer.steps, (long long)run->at.inner_steps, seconds);
    if (reason)
        printf("stopped by %s; %s\n", reason,
               saved ? "state is saved: run again with --resume" : "its state could not be saved");
    if (run->at.non_finite)
        printf("%lld losses were not finite, %lld windows counted for nothing, %lld gradients were "
               "skipped; theta never saw them\n",
               (long long)run->at.non_finite, (long long)run->at.dropped,
               (long long)run->at.skipped);
    printf("theta:  %s/theta.h5\ndigest: %s\n", run->dir, digest);
}

/* History, theta and status of a run that begins or goes on. */
static int open_outputs(mt_run *run, int64_t resume_step, lopt_error *err) {
    char path[MT_PATH + 16];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run->dir);
    run->metrics = mt_metrics_open(path, resume_step, err);
    run->events = run->metrics ? mt_event_file_open(run->dir, resume_step, err) : NULL;
    return run->events && write_theta(run, err) && write_status(run, MT_STATE_RUNNING, 0, err);
}

int mt_coordinate(mt_run *run, int64_t resume_step) {
    lopt_error err = {LOPT_OK, ""}, ignored;
    mt_progress progress;
    const char *reason = NULL;
    run->started = mt_seconds();
    int ok = open_outputs(run, resume_step, &err);
    if (ok) {
        mt_progress_start(&progress, "outer step", run->at.step, run->cfg->outer.steps);
        reason = loop(run, &progress);
        mt_progress_finish(&progress);
        int saved = save(run, &err);
        ok = write_theta(run, saved ? &err : &ignored) && saved;
        print_summary(run, reason, saved);
        finish_plot(run);
    }
    if (!ok)
        mt_complain(&err);
    int status = !ok ? MT_FAILED : reason ? MT_STOPPED : MT_DONE;
    mt_state state = !ok ? MT_STATE_FAILED : reason ? MT_STATE_STOPPED : MT_STATE_DONE;
    harmless(write_status(run, state, status, &ignored), &ignored);
    return status;
}
