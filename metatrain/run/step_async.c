/* SPDX-License-Identifier: Apache-2.0
 *
 * step_async.c - the asynchronous mode: no rank waits for another. See run.h.
 *
 * A rank runs the particles it was dealt in turn, a window each, under the newest theta it has, and
 * reports each at once with the outer step of that theta. Rank 0 makes an outer step as soon as
 * outer.batch reports count, and sends the new theta to every rank that has answered for the one before:
 * a slow rank is never sent more than it takes. One outer step, in reading order:
 *
 *     worker.c     mt_run_window          every rank, again and again
 *     mt_async_takes_reports              rank 0 keeps them in the order of their coming
 *     is_ready                            outer.batch of them are at most outer.staleness outer steps old
 *     make_step                           the oldest become a gradient (es_gradient.h), that a new theta
 *     offer                               to each rank; mt_async_takes_theta there
 *
 * Rank 0 makes it between two inner steps of its own window, so that a slow rank 0 delays nobody; only
 * what asks the particles to be at rest waits for the end of the window: restart points, evaluations, the
 * last step. A report that is too old counts for nothing in the gradient, but its noise does: the sum
 * since the reset (es_gradient.h) stays that of the particle's trajectory. Which reports make a step
 * depends on clocks; with one rank alone it does not, and theta is the one of the synchronous mode.
 *
 * Protocol: the published learner with workers whose gradients are dropped when they are too old (Metz et
 * al. 2022, VeLO), with scalars in place of gradients and windows that go on over a new theta. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/stop_request.h"
#include "run/run.h"

#define IDLE_SECONDS 1.0 /* over which the idle share is taken at least */

int mt_async_open(mt_run *run, lopt_error *err) {
    size_t ranks = (size_t)run->comm.size;
    mt_async *a = &run->async;
    a->sent = calloc(ranks, sizeof *a->sent);
    a->underway = calloc(ranks, 1);
    a->idle = NAN;
    return (a->sent && a->underway) || mt_error(err, LOPT_ENOMEM, "out of memory for %zu ranks", ranks);
}

void mt_async_close(mt_run *run) {
    free(run->async.report);
    free(run->async.sent);
    free(run->async.underway);
    run->async = (mt_async){0};
}

void mt_async_deal(mt_run *run) {
    mt_async *a = &run->async;
    a->paused = 1;
    a->next = 0;
    a->prepared = -1;
    a->n_reports = 0;
    if (a->underway) memset(a->underway, 0, (size_t)run->comm.size);
}

/* ---- theta ----------------------------------------------------------------------------------- */

/* The newest theta, unless the rank has it or has not answered for the one before. */
static void offer(mt_run *run, int rank) {
    mt_async *a = &run->async;
    int64_t step = run->at.step;
    size_t bytes = lopt_n_theta(run->optimizer) * sizeof(float);
    if (a->paused || a->underway[rank] || a->sent[rank] == step) return;
    char *message = malloc(sizeof step + bytes);
    if (!message) mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(message, &step, sizeof step);
    memcpy(message + sizeof step, run->theta, bytes);
    mt_comm_send(&run->comm, rank, MT_TAG_THETA, message, sizeof step + bytes);
    free(message);
    a->sent[rank] = step;
    a->underway[rank] = 1;
}

static void offer_all(mt_run *run) {
    for (int i = 1; i < run->crew.n_live; i++) offer(run, run->crew.live[i]);
}

void mt_async_takes_have(mt_run *run, int rank) {
    run->async.underway[rank] = 0;
    offer(run, rank);
}

int mt_async_takes_theta(mt_run *run, const mt_message *m) {
    size_t bytes = lopt_n_theta(run->optimizer) * sizeof(float);
    if (m->n != sizeof run->window + bytes) return 0;
    memcpy(&run->window, m->data, sizeof run->window);
    memcpy(run->theta, (const char *)m->data + sizeof run->window, bytes);
    run->async.paused = 0;
    run->async.since_theta = 0;
    mt_comm_send(&run->comm, 0, MT_TAG_HAVE, NULL, 0);
    return 1;
}

static void start_idle_share(mt_async *a, double now) {
    a->busy = 0;
    a->idle_since = now;
}

/* After a start or a restart point: every rank waits for theta. */
static void release(mt_run *run) {
    mt_async *a = &run->async;
    if (!a->paused) return;
    a->paused = 0;
    a->stepped = mt_seconds();
    start_idle_share(a, a->stepped);
    for (int r = 0; r < run->comm.size; r++) a->sent[r] = -1;
    offer_all(run);
}

/* ---- windows --------------------------------------------------------------------------------- */

/* The particle here whose turn it is; -1: there is none. */
static int64_t particle_in_turn(const mt_run *run) {
    int64_t all = run->cfg->particles;
    for (int64_t i = 0; i < all; i++)
        if (run->particle[(run->async.next + i) % all].memory) return (run->async.next + i) % all;
    return -1;
}

static int64_t batch(const mt_run *run) {
    return run->cfg->outer.batch ? run->cfg->outer.batch : run->cfg->particles;
}

/* Until no more windows of this theta can count: rank 0 is behind, and has reports enough. */
int mt_async_may_work(const mt_run *run) {
    return run->cfg && run->cfg->outer.mode == MT_ASYNCHRONOUS && !run->async.paused &&
           run->async.since_theta < batch(run) * (run->cfg->outer.staleness + 1) && particle_in_turn(run) >= 0;
}

void mt_async_window(mt_run *run) {
    int64_t p = particle_in_turn(run);
    if (run->async.prepared != run->window) mt_unroller_set_theta(&run->unroller, run->theta);
    run->async.prepared = run->window;
    run->async.next = p + 1;
    run->async.since_theta++;
    mt_run_window(run, p, 0);
    if (run->restart_step == MT_NO_RESTART && run->crew.n_lost == 0) mt_send_reports(run);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* Room for so many. */
static void make_room(mt_run *run, int64_t n) {
    mt_async *a = &run->async;
    if (n <= a->room) return;
    a->room = 2 * n;
    a->report = realloc(a->report, (size_t)a->room * sizeof *a->report);
    if (!a->report) mt_comm_abort(&run->comm, MT_FAILED);
}

static int makes_sense(const mt_run *run, const mt_report *r) {
    int ok = r->particle >= 0 && r->particle < run->cfg->particles && r->window <= run->at.step && r->n_segments >= 0 &&
             r->n_segments <= MT_MAX_SEGMENTS && r->n_task_steps >= 0 && r->n_task_steps <= MT_MAX_SEGMENTS;
    for (int k = 0; ok && k < r->n_segments; k++)
        ok = r->segment[k].task >= 0 && r->segment[k].task < run->cfg->n_tasks;
    for (int64_t k = 0; ok && k < r->n_task_steps; k++)
        ok = r->task_steps[k].task >= 0 && r->task_steps[k].task < run->cfg->n_tasks;
    return ok;
}

_Static_assert(sizeof(mt_report) % sizeof(int64_t) == 0, "reports are saved as 64-bit integers");

size_t mt_async_items(mt_run *run, mt_item items[MT_ASYNC_ITEMS]) {
    mt_async *a = &run->async;
    size_t words = (size_t)a->n_reports * sizeof *a->report / sizeof(int64_t);
    if (run->cfg->outer.mode == MT_SYNCHRONOUS) return 0;
    items[0] = (mt_item){"n_reports", MT_INTEGERS, &a->n_reports, 1};
    items[1] = (mt_item){"reports", MT_INTEGERS, a->report, words};
    return words > 0 ? 2 : 1;
}

int mt_async_restore(mt_run *run, int64_t step, lopt_error *err) {
    mt_async *a = &run->async;
    mt_item items[MT_ASYNC_ITEMS];
    a->n_reports = 0;
    if (mt_async_items(run, items) == 0) return 1;
    if (!mt_checkpoint_read_run(run->dir, step, items, 1, err)) return 0;
    if (a->n_reports < 0 || a->n_reports > INT32_MAX)
        return mt_error(err, LOPT_EARG, "%s: the point of outer step %lld has %lld reports", run->dir, (long long)step,
                        (long long)a->n_reports);
    make_room(run, a->n_reports);
    if (mt_async_items(run, items) > 1 && !mt_checkpoint_read_run(run->dir, step, items + 1, 1, err)) return 0;
    for (int64_t i = 0; i < a->n_reports; i++)
        if (!makes_sense(run, &a->report[i]))
            return mt_error(err, LOPT_EARG, "%s: the point of outer step %lld has a report that makes no sense",
                            run->dir, (long long)step);
    return 1;
}

void mt_async_takes_reports(mt_run *run, const mt_report *reports, size_t n) {
    mt_async *a = &run->async;
    make_room(run, a->n_reports + (int64_t)n);
    memcpy(a->report + a->n_reports, reports, n * sizeof *reports);
    a->n_reports += (int64_t)n;
    for (size_t i = 0; i < n; i++) {
        if (!makes_sense(run, &reports[i])) {
            fprintf(stderr, "metatrain: a rank sent a report that makes no sense\n");
            mt_comm_abort(&run->comm, MT_FAILED);
        }
        a->busy += reports[i].seconds;
        mt_learn_window(run, &reports[i], 0);
    }
}

/* How many of the oldest reports hold outer.batch that count; 0: there are not so many yet. */
static int64_t enough(const mt_run *run) {
    const mt_async *a = &run->async;
    int64_t counted = 0, want = batch(run);
    for (int64_t i = 0; a->n_reports >= want && i < a->n_reports; i++) {
        counted += run->at.step - a->report[i].window <= run->cfg->outer.staleness;
        if (counted == want) return i + 1;
    }
    return 0;
}

/* ---- outer steps ----------------------------------------------------------------------------- */

static int64_t age(const mt_run *run, const mt_report *report) {
    return run->at.step - report->window;
}

static void note_staleness(const mt_run *run, int64_t n, mt_outer_summary *summary) {
    double sum = 0;
    int64_t oldest = 0;
    for (const mt_report *r = run->async.report; r < run->async.report + n; r++)
        if (!r->stale) {
            sum += (double)age(run, r);
            oldest = age(run, r) > oldest ? age(run, r) : oldest;
        }
    summary->staleness = sum / (double)(summary->reports - summary->stale);
    summary->staleness_max = oldest;
}

/* Over single steps the share would be noise: reports come when windows end. */
static void note_idle_share(mt_run *run) {
    mt_async *a = &run->async;
    double now = mt_seconds(), elapsed = now - a->idle_since;
    if (elapsed < IDLE_SECONDS && !isnan(a->idle)) return;
    a->idle = fmin(fmax(1 - a->busy / (elapsed * run->crew.n_live), 0), 1);
    start_idle_share(a, now);
}

/* From the oldest n reports, if their gradient could be made; listens meanwhile. 0 if a rank was lost. */
static int make_step(mt_run *run, int64_t n) {
    mt_async *a = &run->async;
    mt_es_gradient *e = &run->estimator;
    mt_outer_summary summary;
    mt_outer_norms norms;
    lopt_error err;
    if (!mt_es_gradient_expect(e, n, &err)) mt_comm_abort(&run->comm, mt_print_error(&err));
    for (int64_t i = 0; i < n; i++) a->report[i].stale = age(run, &a->report[i]) > run->cfg->outer.staleness;
    mt_plan_gradient(e, a->report);
    if (!mt_gradient_pieces(run)) return 0;
    mt_finish_gradient(e, a->report, &summary);
    note_staleness(run, n, &summary);
    note_idle_share(run);
    a->n_reports -= n;
    memmove(a->report, a->report + n, (size_t)a->n_reports * sizeof *a->report);
    mt_update_theta(run, &summary, &norms);
    run->window = run->at.step;
    offer_all(run);
    int ok = mt_conclude_step(run, &summary, &norms, a->stepped, a->progress);
    a->stepped = mt_seconds();
    if (run->snapshot.step == run->at.step) start_idle_share(a, a->stepped); /* evaluating is no idleness */
    return ok;
}

/* Whether what follows this step needs the particles at rest. */
static int pauses_after(const mt_run *run, int64_t step) {
    return step >= run->cfg->outer.steps || mt_is_restart_point(run, step) || mt_snapshot_is_due(&run->snapshot, step);
}

void mt_async_interrupt(mt_run *run) {
    int64_t n;
    if (!run->async.interruptible) return;
    run->async.interruptible = 0; /* no step inside a step */
    while (run->crew.n_lost == 0 && !pauses_after(run, run->at.step + 1) && (n = enough(run))) make_step(run, n);
    run->async.interruptible = 1;
}

int mt_async_steps(mt_run *run, mt_progress *progress) {
    int64_t before = run->at.step, n;
    run->async.progress = progress;
    release(run);
    run->window = before;
    while (run->at.step == before && run->crew.n_lost == 0 && !mt_stop_reason()) {
        run->async.interruptible = 1;
        mt_async_window(run);
        mt_hear(run);
        mt_async_interrupt(run);
        run->async.interruptible = 0;
        if (run->crew.n_lost == 0 && (n = enough(run))) make_step(run, n);
    }
    return run->crew.n_lost == 0;
}
