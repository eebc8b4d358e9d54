/* SPDX-License-Identifier: Apache-2.0
 *
 * step_async.c - the asynchronous mode: no rank waits for another. See coordinator.h.
 *
 * A rank runs the particles assigned to it in turn, a window each, under the newest theta it has, and reports each at
 * once with the outer step of that theta. Rank 0 makes an outer step as soon as outer.batch reports count, and sends
 * the new theta to every rank that has acknowledged the one before: a slow rank is never sent more than it takes. One
 * outer step, in reading order:
 *
 *     worker.c        begin_asynchronous, finish_window      every rank, again and again
 *     take_reports                                           rank 0 pools them in the order of their arrival
 *     count_usable                                           outer.batch of them are at most outer.staleness steps old
 *     make_step                                              the oldest become a gradient, that a new theta
 *     offer_theta                                            to each rank; THETA_ACK comes back
 *
 * Rank 0 makes it between two slices of work of its own window, so that a slow rank 0 delays nobody; only what needs
 * the particles at rest waits for the end of the window: checkpoints, validation, the last step. A report that is too
 * old is left out of the gradient, but its noise is not: the sum since the reset (es_gradient.h) stays that of the
 * particle's trajectory. Which reports make a step depends on clocks; with one rank alone it does not, and theta is
 * the one of the synchronous mode.
 *
 * Protocol: the published learner with workers whose gradients are dropped when they are too old (Metz et al. 2022,
 * VeLO), with scalars in place of gradients and windows that go on over a new theta. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/stop_request.h"
#include "run/coordinator.h"

#define IDLE_SECONDS 1.0 /* over which the idle share is taken at least */

/* ---- theta ----------------------------------------------------------------------------------- */

/* The newest theta, unless the rank has it or has not acknowledged the one before. */
static void offer_theta(mt_coordinator *c, int rank) {
    int64_t step = c->counters.step;
    size_t bytes = c->theta->n * sizeof(float);
    if (!c->pool.released || c->pool.unacknowledged[rank] || c->pool.theta_sent[rank] == step) return;
    char *message = malloc(sizeof step + bytes);
    if (!message) mt_abort_without_memory(c->session->transport, "a message");
    memcpy(message, &step, sizeof step);
    memcpy(message + sizeof step, c->theta->value, bytes);
    mt_post_message(&c->session->dispatch, rank, MT_TAG_THETA, message, sizeof step + bytes);
    free(message);
    c->pool.theta_sent[rank] = step;
    c->pool.unacknowledged[rank] = 1;
}

static void offer_to_all(mt_coordinator *c) {
    const mt_membership *members = &c->session->members;
    for (int i = 0; i < members->n_live; i++) offer_theta(c, members->live[i]);
}

static int take_theta_ack(void *self, const mt_message *m) {
    mt_coordinator *c = self;
    c->pool.unacknowledged[m->from] = 0;
    offer_theta(c, m->from);
    return 1;
}

static void start_idle_share(mt_report_pool *pool, double now) {
    pool->busy = 0;
    pool->idle_since = now;
}

/* Ranks that pause, after a start or a checkpoint, wait for theta. */
static void release_ranks(mt_coordinator *c) {
    mt_report_pool *pool = &c->pool;
    if (pool->released && !c->worker->paused) return;
    pool->released = 1;
    pool->step_start = mt_wall_seconds();
    start_idle_share(pool, pool->step_start);
    for (int r = 0; r < c->session->transport->size; r++) pool->theta_sent[r] = -1;
    offer_to_all(c);
}

/* ---- reports --------------------------------------------------------------------------------- */

static void grow_pool(mt_coordinator *c, int64_t n) {
    mt_report_pool *pool = &c->pool;
    if (n <= pool->room) return;
    pool->room = 2 * n;
    pool->report = realloc(pool->report, (size_t)pool->room * sizeof *pool->report);
    if (!pool->report) mt_abort_without_memory(c->session->transport, "reports");
}

static int take_reports(void *self, const mt_message *m) {
    mt_coordinator *c = self;
    mt_report_pool *pool = &c->pool;
    size_t n = (m->n - sizeof(double)) / sizeof *pool->report;
    if (m->n != sizeof(double) + n * sizeof *pool->report) return 0;
    memcpy(&c->profiler.cpu[m->from], m->data, sizeof(double));
    grow_pool(c, pool->n + (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        mt_report *r = &pool->report[pool->n++];
        memcpy(r, (const char *)m->data + sizeof(double) + i * sizeof *r, sizeof *r);
        if (!mt_check_report(c, r)) return 0;
        pool->busy += r->seconds;
        mt_learn_window(&c->profiler, &c->assignment.costs, r, 0);
    }
    return 1;
}

static int64_t age_of(const mt_coordinator *c, const mt_report *report) {
    return c->counters.step - report->window;
}

/* How many of the oldest reports hold outer.batch that count; 0: there are not so many yet. */
static int64_t count_usable(const mt_coordinator *c) {
    const mt_config *cfg = c->session->cfg;
    int64_t counted = 0, want = cfg->outer.batch ? cfg->outer.batch : cfg->particles;
    for (int64_t i = 0; c->pool.n >= want && i < c->pool.n; i++) {
        counted += age_of(c, &c->pool.report[i]) <= cfg->outer.staleness;
        if (counted == want) return i + 1;
    }
    return 0;
}

_Static_assert(sizeof(mt_report) % sizeof(int64_t) == 0, "reports are saved as 64-bit integers");

static mt_item pooled_reports(mt_report_pool *pool) {
    return (mt_item){"reports", MT_INTEGERS, pool->report, (size_t)pool->n * sizeof *pool->report / sizeof(int64_t)};
}

/* On restore the number of reports is known only when it was read: their item is left out. */
static size_t list_pool(void *owner, mt_item *items) {
    mt_coordinator *c = owner;
    items[0] = (mt_item){"n_reports", MT_INTEGERS, &c->pool.n, 1};
    items[1] = pooled_reports(&c->pool);
    return c->pool.n > 0 ? 2 : 1;
}

static int restore_pool(void *owner, int64_t step, lopt_error *err) {
    mt_coordinator *c = owner;
    const char *dir = c->session->dir;
    int64_t n = c->pool.n;
    if (n < 0 || n > INT32_MAX)
        return mt_error(err, LOPT_EARG, "%s: the checkpoint of outer step %lld has %lld reports", dir, (long long)step,
                        (long long)n);
    grow_pool(c, n);
    mt_item item = pooled_reports(&c->pool);
    if (n > 0 && !mt_checkpoint_read_run(dir, step, &item, 1, err)) return 0;
    for (int64_t i = 0; i < n; i++)
        if (!mt_check_report(c, &c->pool.report[i]))
            return mt_error(err, LOPT_EARG, "%s: the checkpoint of outer step %lld has a malformed report", dir,
                            (long long)step);
    return 1;
}

/* ---- outer steps ----------------------------------------------------------------------------- */

static void note_staleness(const mt_coordinator *c, int64_t n, mt_outer_summary *summary) {
    double sum = 0;
    int64_t oldest = 0;
    for (const mt_report *r = c->pool.report; r < c->pool.report + n; r++)
        if (!r->stale) {
            sum += (double)age_of(c, r);
            oldest = age_of(c, r) > oldest ? age_of(c, r) : oldest;
        }
    summary->staleness = sum / (double)(summary->reports - summary->stale);
    summary->staleness_max = oldest;
}

/* Over single steps the share would be noise: reports come when windows end. */
static void note_idle_share(mt_coordinator *c) {
    mt_report_pool *pool = &c->pool;
    double now = mt_wall_seconds(), elapsed = now - pool->idle_since;
    if (elapsed < IDLE_SECONDS && !isnan(pool->idle_share)) return;
    pool->idle_share = fmin(fmax(1 - pool->busy / (elapsed * c->session->members.n_live), 0), 1);
    start_idle_share(pool, now);
}

/* From the oldest n reports. 0 if a rank was lost. */
static int make_step(mt_coordinator *c, int64_t n) {
    mt_report_pool *pool = &c->pool;
    mt_es_gradient *es = &c->worker->gradient.es;
    mt_outer_summary summary;
    mt_outer_norms norms;
    lopt_error err;
    if (!mt_es_gradient_expect(es, n, &err)) mt_abort_ranks(c->session->transport, mt_print_error(&err));
    for (int64_t i = 0; i < n; i++)
        pool->report[i].stale = age_of(c, &pool->report[i]) > c->session->cfg->outer.staleness;
    mt_plan_gradient(es, pool->report);
    if (!mt_gather_gradient(&c->worker->gradient, c->counters.step)) return 0;
    mt_finish_gradient(es, pool->report, &summary); /* the pool may have grown, and moved, meanwhile */
    note_staleness(c, n, &summary);
    note_idle_share(c);
    pool->n -= n;
    memmove(pool->report, pool->report + n, (size_t)pool->n * sizeof *pool->report);
    mt_update_theta(c, &summary, &norms);
    offer_to_all(c);
    int ok = mt_conclude_step(c, &summary, &norms, pool->step_start);
    pool->step_start = mt_wall_seconds();
    if (c->worker->validation.step == c->counters.step) /* the time for it is no idleness */
        start_idle_share(pool, pool->step_start);
    return ok;
}

/* Whether what follows this step needs the particles at rest. */
static int pauses_after(const mt_coordinator *c, int64_t step) {
    return step >= c->session->cfg->outer.steps || mt_checkpoint_is_due(c, step) ||
           mt_validation_is_due(&c->worker->validation, step);
}

static int async_step(mt_coordinator *c) {
    int64_t before = c->counters.step;
    mt_session *s = c->session;
    release_ranks(c);
    for (int idle_polls = 0; s->members.n_failed == 0 && !mt_stop_reason();) {
        int busy = mt_poll_messages(&s->dispatch) > 0, at_rest = !c->worker->unroller.particle;
        if (at_rest && c->counters.step > before) break;
        int64_t n = at_rest || !pauses_after(c, c->counters.step + 1) ? count_usable(c) : 0;
        if (s->members.n_failed == 0 && n > 0) {
            if (!make_step(c, n)) return 0;
            idle_polls = 0;
        } else if (mt_do_work(c->worker) || busy)
            idle_polls = 0;
        else
            mt_rest_transport(s->transport, idle_polls++);
    }
    /* A checkpoint follows: no rank gets theta, and so goes on, before it is written. */
    if (mt_stop_reason() || c->counters.step >= s->cfg->outer.steps || mt_checkpoint_is_due(c, c->counters.step))
        c->pool.released = 0;
    return s->members.n_failed == 0;
}

static void async_assigned(mt_coordinator *c) {
    c->pool.n = 0;
    c->pool.released = 0;
    memset(c->pool.unacknowledged, 0, (size_t)c->session->transport->size);
}

static int async_open(mt_coordinator *c, lopt_error *err) {
    size_t ranks = (size_t)c->session->transport->size;
    c->pool.theta_sent = calloc(ranks, sizeof *c->pool.theta_sent);
    c->pool.unacknowledged = calloc(ranks, 1);
    mt_register_handler(&c->session->dispatch, MT_TAG_REPORTS, take_reports, c, sizeof(double), SIZE_MAX);
    mt_register_handler(&c->session->dispatch, MT_TAG_THETA_ACK, take_theta_ack, c, 0, 0);
    mt_contribute_items(&c->checkpoints, list_pool, restore_pool, c);
    return (c->pool.theta_sent && c->pool.unacknowledged) ||
           mt_error(err, LOPT_ENOMEM, "out of memory for %zu ranks", ranks);
}

static void async_close(mt_coordinator *c) {
    free(c->pool.report);
    free(c->pool.theta_sent);
    free(c->pool.unacknowledged);
}

const mt_step_mode mt_step_async = {async_open, async_close, async_assigned, async_step};
