/* SPDX-License-Identifier: Apache-2.0
 *
 * outer_loop.c - rank 0: outer steps, and what to do when ranks die. See run.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/stop_request.h"
#include "run/run.h"
#include "store/checkpoint.h"

#define THETA_EVERY_SECONDS 10.0 /* how far DIR/theta.h5 may lag behind between restart points */

/* ---- waiting ------------------------------------------------------------------------------- */

int mt_wait(mt_run *run) {
    for (int looks = 0; run->n_missing > 0 && run->crew.n_lost == 0; looks++) {
        if (mt_hear(run) > 0) looks = 0;
        if (run->n_todo > 0)
            mt_run_todo(run);
        else if (looks > 0 && run->n_missing > 0)
            mt_comm_rest(&run->comm, looks);
    }
    return run->crew.n_lost == 0;
}

/* ---- who runs what ------------------------------------------------------------------------- */

int mt_coordinator_dealt(mt_run *run, lopt_error *err) {
    mt_board_close(&run->board);
    if (!mt_board_open(&run->board, run->crew.n_live))
        return mt_error(err, LOPT_ENOMEM, "out of memory for %d ranks", run->crew.n_live);
    for (int64_t p = 0; p < run->cfg->particles; p++) {
        run->owner[p] = (int)(p % run->crew.n_live);
        if (run->owner[p] == 0) run->report[p].at = run->particle[p].at;
    }
    return 1;
}

/* Fills run->placed for the coming window; returns how many particles move. */
static int64_t deal(mt_run *run) {
    int64_t n = run->cfg->particles;
    mt_cost_model *c = &run->costs;
    if (c->ship == 0) c->ship = 50e-6 + (double)mt_particle_bytes(&run->unroller.mixture.sizes) / 1e9;
    c->move += 0.1 * (4 * c->ship - c->move); /* what was measured once may be long past */
    double reports = run->crew.n_live > 1 ? (double)n * run->measured.message : 0;
    for (int64_t p = 0; p < n; p++) run->cost[p] = mt_predict_cost(c, run->cfg, &run->report[p].at, run->at.step);
    int64_t moves = mt_assign_particles(run->cost, run->owner, n, run->crew.n_live, reports, 2 * c->ship, run->placed);
    if (moves < 0) mt_comm_abort(&run->comm, MT_FAILED);
    return moves;
}

/* An idle rank gets a particle of one that has many left. */
static void spread(mt_run *run) {
    int thief, victim;
    while (run->n_missing > 0 && mt_board_match(&run->board, &thief, &victim)) {
        mt_steal steal = {.window = run->window, .particle = -1, .asked = mt_seconds(), .to = run->crew.live[thief]};
        if (victim == 0)
            mt_run_give(run, steal.to, steal.asked);
        else
            mt_comm_send(&run->comm, run->crew.live[victim], MT_TAG_STEAL, &steal, sizeof steal);
    }
}

void mt_take_gift(mt_run *run, int rank, const mt_steal *gift) {
    int from = run->crew.index[rank], to = run->crew.index[gift->to];
    if (gift->window != run->window || from < 0 || to < 0) return;
    if (gift->particle < 0)
        mt_board_refused(&run->board, to);
    else {
        mt_board_migrated(&run->board, from, to, run->cost[gift->particle]);
        run->asked[gift->particle] = gift->asked;
    }
    spread(run);
}

/* From the asking to the report, less the window itself: what moving it took. */
static void learn_move(mt_run *run, const mt_report *r) {
    double *asked = &run->asked[r->particle];
    if (*asked > 0) run->costs.move += 0.1 * (fmax(mt_seconds() - *asked - r->wall_seconds, 0) - run->costs.move);
    *asked = 0;
}

/* ---- one outer step ------------------------------------------------------------------------ */

static void send_window(mt_run *run, int64_t n_moves) {
    size_t theta_bytes = lopt_n_theta(run->optimizer) * sizeof(float), move_bytes = (size_t)n_moves * sizeof(mt_move),
           bytes = sizeof(mt_window_head) + move_bytes + theta_bytes;
    mt_window_head head = {.window = run->at.step, .n_moves = n_moves, .costs = run->costs};
    char *message = malloc(bytes);
    if (!message) mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &head, sizeof head);
    mt_move *move = (mt_move *)(message + sizeof head);
    for (int64_t p = 0, i = 0; p < run->cfg->particles; p++) {
        if (run->placed[p] != run->owner[p])
            move[i++] = (mt_move){p, run->crew.live[run->owner[p]], run->crew.live[run->placed[p]]};
        run->owner[p] = run->placed[p];
        run->report[p].window = -1; /* to come */
        run->asked[p] = 0;
    }
    memcpy(message + sizeof head + move_bytes, run->theta, theta_bytes);
    mt_crew_pass_on(&run->crew, &run->comm, MT_TAG_WINDOW, message, bytes);
    mt_board_start(&run->board, run->cost, run->owner, run->cfg->particles, run->costs.move);
    run->n_missing = run->cfg->particles;
    mt_run_begin(run, &head, move);
    free(message);
    spread(run);
}

/* Anything else than a window of a particle, once, is a bug worth stopping for. */
void mt_take_reports(mt_run *run, int rank, const mt_report *reports, size_t n) {
    int index = run->crew.index[rank];
    if (run->cfg->outer.mode == MT_ASYNCHRONOUS) {
        mt_async_takes_reports(run, reports, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const mt_report *r = &reports[i];
        if (r->particle < 0 || r->particle >= run->cfg->particles || r->window != run->at.step ||
            run->report[r->particle].window == r->window) {
            fprintf(stderr,
                    "metatrain: rank %d reported window %lld of particle %lld, which is not to "
                    "come\n",
                    rank, (long long)r->window, (long long)r->particle);
            mt_comm_abort(&run->comm, MT_FAILED);
        }
        run->report[r->particle] = *r;
        run->owner[r->particle] = index;
        run->n_missing--;
        mt_board_reported(&run->board, index, run->cost[r->particle]);
        learn_move(run, r);
    }
    spread(run);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

void mt_take_scores(mt_run *run, const mt_scores *scores) {
    if (scores->job < 0 || scores->job >= run->snapshot.n_jobs) return;
    run->snapshot.loss[scores->job] = scores->loss;
    run->cpu_evaluating += scores->cpu;
    run->n_missing--;
}

/* Evaluates theta where that is due; 0 if a rank was lost. */
static int evaluate(mt_run *run) {
    lopt_error err;
    if (!mt_snapshot_is_due(&run->snapshot, run->at.step)) return 1;
    mt_crew_pass_on(&run->crew, &run->comm, MT_TAG_EVALUATE, run->theta, lopt_n_theta(run->optimizer) * sizeof(float));
    run->n_missing = run->snapshot.n_jobs;
    mt_run_snapshot(run);
    if (!mt_wait(run)) return 0;
    if (mt_snapshot_finish(&run->snapshot, run->at.step)) mt_warn_on_error(mt_write_best(run, &err), &err);
    return 1;
}

/* ---- one outer step, in order ---------------------------------------------------------------- */

void mt_learn_window(mt_run *run, const mt_report *r, double cost) {
    mt_cost_model_learn(&run->costs, r);
    if (r->n_task_steps != 1) return;
    run->task_seconds[r->task_steps[0].task] += r->seconds;
    run->task_steps[r->task_steps[0].task] += (double)r->task_steps[0].steps;
    if (cost > 0) {
        run->squares += pow(fmin(r->seconds / cost - 1, 1), 2);
        run->windows++;
    }
}

/* Of all that rank 0 does while the others wait, which is from the last report to the next window. */
static void learn_serial(mt_run *run) {
    double *serial = &run->measured.serial;
    if (run->reported > 0) *serial += (*serial > 0 ? 0.05 : 1) * (mt_seconds() - run->reported - *serial);
    run->reported = 0;
}

void mt_update_theta(mt_run *run, const mt_outer_summary *summary, mt_outer_norms *norms) {
    mt_outer_update(&run->outer, run->estimator.gradient, run->theta, norms);
    run->at.step++;
    run->at.inner_steps += summary->inner_steps;
    run->at.non_finite += summary->non_finite;
    run->at.dropped += summary->dropped;
    run->at.updates = run->outer.updates;
    run->at.skipped = run->outer.skipped;
}

int mt_conclude_step(mt_run *run, const mt_outer_summary *summary, const mt_outer_norms *norms, double start,
                     mt_progress *progress) {
    double seconds = mt_seconds() - start;
    if (!evaluate(run)) return 0;
    mt_record(run, summary, norms, seconds, progress);
    return 1;
}

/* 0 if a rank was lost. */
static int outer_step(mt_run *run, mt_progress *progress) {
    mt_outer_summary summary;
    mt_outer_norms norms;
    double start = mt_seconds();
    learn_serial(run);
    send_window(run, deal(run));
    if (!mt_wait(run)) return 0;
    run->reported = mt_seconds();
    for (int64_t p = 0; p < run->cfg->particles; p++) mt_learn_window(run, &run->report[p], run->cost[p]);
    if (!mt_gradient(run, &summary)) return 0;
    mt_update_theta(run, &summary, &norms);
    return mt_conclude_step(run, &summary, &norms, start, progress);
}

/* ---- messages of workers ------------------------------------------------------------------- */

static void take_answer(mt_run *run, const mt_message *m) {
    lopt_error theirs = {LOPT_EIO, "an answer of a rank makes no sense"};
    if (m->n >= sizeof theirs) memcpy(&theirs, m->data, sizeof theirs);
    if (theirs.status != LOPT_OK && run->answer.status == LOPT_OK) run->answer = theirs;
    mt_particle_counters at; /* lies in the message where no 64-bit integer may */
    for (size_t i = sizeof theirs; i + sizeof at <= m->n; i += sizeof at) {
        memcpy(&at, (const char *)m->data + i, sizeof at);
        if (at.number >= 0 && at.number < run->cfg->particles) run->report[at.number].at = at;
    }
    run->n_missing--;
}

int mt_coordinator_takes(mt_run *run, const mt_message *m) {
    if (m->tag == MT_TAG_REPORTS && m->n >= sizeof(double)) {
        memcpy(&run->cpu[m->from], m->data, sizeof(double));
        mt_take_reports(run, m->from, (const mt_report *)((const double *)m->data + 1),
                        (m->n - sizeof(double)) / sizeof(mt_report));
    } else if (m->tag == MT_TAG_GAVE && m->n == sizeof(mt_steal))
        mt_take_gift(run, m->from, m->data);
    else if (m->tag == MT_TAG_SCORES && m->n == sizeof(mt_scores))
        mt_take_scores(run, m->data);
    else if (m->tag == MT_TAG_HAVE)
        mt_async_takes_have(run, m->from);
    else if (m->tag == MT_TAG_SLICE)
        return mt_gradient_takes_slice(run, m);
    else if (m->tag == MT_TAG_READY || m->tag == MT_TAG_SAVED)
        take_answer(run, m);
    return 1;
}

/* ---- the loss of ranks --------------------------------------------------------------------- */

/* Open MPI ends a job in which a process died, unless told otherwise. */
static int mpirun_goes_on(void) {
    const char *recovery = getenv("OMPI_MCA_orte_enable_recovery");
    return !getenv("OMPI_COMM_WORLD_SIZE") || (recovery && strcmp(recovery, "1") == 0);
}

static void send_restart(mt_run *run, int64_t step) {
    size_t bytes = sizeof step + (size_t)run->crew.n_live * sizeof(int32_t);
    char *message = malloc(bytes);
    if (!message) mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &step, sizeof step);
    int32_t *live = (int32_t *)(message + sizeof step);
    for (int i = 0; i < run->crew.n_live; i++) live[i] = run->crew.live[i];
    mt_crew_tell(&run->crew, &run->comm, MT_TAG_RESTART, message, bytes);
    free(message);
}

/* Those that are still there, only slow, are told to leave. */
static void leave_out_the_lost(mt_run *run) {
    int32_t end[2] = {MT_STOPPED, 1};
    run->comm.epoch++;
    for (int i = 1; i < run->crew.n_live; i++) {
        int rank = run->crew.live[i];
        if (!run->crew.lost[rank]) continue;
        mt_comm_send(&run->comm, rank, MT_TAG_END, end, sizeof end);
        mt_comm_give_up(&run->comm, rank);
    }
    mt_crew_bury(&run->crew);
}

/* The living return to the newest restart point and share the particles out anew; 0 and a sentence
 * if that cannot be. */
static int recover(mt_run *run, lopt_error *err) {
    int64_t step = -1;
    int ok = 1;
    double seconds_before = run->seconds_before;
    if (run->crew.n_died > 0 && !mpirun_goes_on())
        return mt_error(err, LOPT_EIO,
                        "a rank died, and mpirun without --enable-recovery ends the others; go on "
                        "with: metatrain train --resume --out %s",
                        run->dir);
    while (ok && run->crew.n_lost > 0) {
        leave_out_the_lost(run);
        ok = mt_checkpoint_find(run->dir, &step, mt_print_warning, err) &&
             (step >= 0 || mt_error(err, LOPT_EIO,
                                    "%s: ranks were lost and there is no restart "
                                    "point to go back to",
                                    run->dir));
        if (ok) {
            send_restart(run, step);
            ok = mt_run_deal(run, step, err) && mt_restore(run, step, err);
            run->seconds_before = seconds_before; /* the point's count the time since the start */
            ok = mt_ranks_are_ready(run, ok, err) || run->crew.n_lost > 0;
            if (ok && run->crew.n_lost == 0) mt_gradient_hand_out(run);
        }
    }
    if (ok)
        fprintf(stderr, "metatrain: going on from outer step %lld with %d rank%s\n", (long long)step, run->crew.n_live,
                run->crew.n_live > 1 ? "s" : "");
    lopt_error why;
    return ok && (mt_warn_on_error(mt_open_outputs(run, step, &why), &why), 1);
}

/* ---- the run ------------------------------------------------------------------------------- */

int mt_is_restart_point(const mt_run *run, int64_t step) {
    return step % run->cfg->checkpoint.every == 0 && step < run->cfg->outer.steps;
}

/* Outer steps until the last one, a request to stop (returns its reason), or the loss of a rank. */
static const char *loop(mt_run *run, mt_progress *progress) {
    const char *reason = NULL;
    double theta_due = mt_seconds() + THETA_EVERY_SECONDS;
    lopt_error err;
    while (run->at.step < run->cfg->outer.steps && !(reason = mt_stop_reason())) {
        int64_t before = run->at.step;
        if (!(run->cfg->outer.mode == MT_ASYNCHRONOUS ? mt_async_steps(run, progress) : outer_step(run, progress)))
            return NULL;
        int point = run->at.step > before && mt_is_restart_point(run, run->at.step);
        if (point) {
            mt_warn_on_error(mt_save(run, &err), &err);
            mt_warn_on_error(!run->events || mt_event_file_flush(run->events, &err), &err);
        }
        if (point || mt_seconds() > theta_due) {
            mt_warn_on_error(mt_write_theta(run, &err), &err);
            mt_warn_on_error(mt_write_costs(run, &err), &err);
            run->reported = 0;
            mt_warn_on_error(mt_write_run_status(run, MT_STATE_RUNNING, 0, &err), &err);
            theta_due = mt_seconds() + THETA_EVERY_SECONDS;
        }
    }
    return reason;
}

/* The loop, again whenever ranks were lost, and a last restart point; *reason of an early end. 0 and a
 * sentence if the point could not be written. */
static int run_to_the_end(mt_run *run, mt_progress *progress, const char **reason, lopt_error *err) {
    for (;;) {
        *reason = loop(run, progress);
        int saved = run->crew.n_lost == 0 && mt_save(run, err);
        if (run->crew.n_lost == 0) return saved;
        mt_progress_clear(progress);
        if (!recover(run, err)) return 0;
    }
}

int mt_coordinate(mt_run *run, int64_t resume_step) {
    lopt_error err = {LOPT_OK, ""}, ignored;
    mt_progress progress;
    const char *reason = NULL;
    run->started = mt_seconds();
    run->crew.silence = run->cfg->faults.silence;
    int ok = mt_open_outputs(run, resume_step, &err);
    if (ok) {
        if (resume_step < 0)
            mt_warn_on_error(mt_save(run, &ignored), &ignored); /* where the loss of a rank leads back to */
        mt_progress_start(&progress, "outer step", run->at.step, run->cfg->outer.steps);
        int saved = run_to_the_end(run, &progress, &reason, &err);
        mt_progress_finish(&progress);
        ok = mt_write_theta(run, saved ? &err : &ignored) && saved;
        mt_warn_on_error(mt_write_costs(run, &ignored), &ignored);
        mt_print_summary(run, reason, saved);
        mt_finish_plot(run);
    }
    if (!ok) mt_print_error(&err);
    int status = !ok ? MT_FAILED : reason ? MT_STOPPED : MT_DONE;
    mt_state state = !ok ? MT_STATE_FAILED : reason ? MT_STATE_STOPPED : MT_STATE_DONE;
    mt_warn_on_error(mt_write_run_status(run, state, status, &ignored), &ignored);
    return status;
}
