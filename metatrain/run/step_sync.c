/* SPDX-License-Identifier: Apache-2.0
 *
 * step_sync.c - the synchronous outer step: one window of every particle, then one update of theta. The same seed
 * gives the same bits, whatever ranks there are. See coordinator.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "run/coordinator.h"

/* Theta and the migrations, to this rank's worker, which sends them down the tree (worker.c). */
static void send_window(mt_coordinator *c) {
    mt_session *s = c->session;
    size_t theta_bytes = c->theta->n * sizeof(float), most = (size_t)s->cfg->particles * sizeof(mt_migration);
    char *message = malloc(sizeof(mt_window_head) + most + theta_bytes);
    if (!message) mt_abort_without_memory(s->transport, "a message");
    mt_window_head head = {.window = c->counters.step};
    mt_migration *migration = (mt_migration *)(message + sizeof head);
    double reports = s->members.n_live > 1 ? (double)s->cfg->particles * s->dispatch.message_seconds : 0;
    c->assignment.costs.ship = c->worker->particles.migrate_seconds;
    head.n_migrations = mt_assign_window(&c->assignment, head.window, reports, migration);
    head.costs = c->assignment.costs;
    memcpy(message, &head, sizeof head);
    memcpy(migration + head.n_migrations, c->theta->value, theta_bytes);
    size_t bytes = sizeof head + (size_t)head.n_migrations * sizeof *migration + theta_bytes;
    mt_post_message(&s->dispatch, 0, MT_TAG_WINDOW, message, bytes);
    free(message);
    for (int64_t p = 0; p < s->cfg->particles; p++) c->report[p].window = -1; /* to come */
}

/* Every particle reports once a window. */
static int take_report(mt_coordinator *c, int rank, const mt_report *r) {
    if (!mt_check_report(c, r) || r->window != c->counters.step || c->report[r->particle].window == r->window) return 0;
    c->report[r->particle] = *r;
    mt_note_report(&c->assignment, rank, r);
    return 1;
}

static int take_reports(void *self, const mt_message *m) {
    mt_coordinator *c = self;
    mt_report report;
    size_t n = (m->n - sizeof(double)) / sizeof report;
    if (m->n != sizeof(double) + n * sizeof report) return 0;
    memcpy(&c->profiler.cpu[m->from], m->data, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        memcpy(&report, (const char *)m->data + sizeof(double) + i * sizeof report, sizeof report);
        if (!take_report(c, m->from, &report)) return 0;
    }
    mt_dispatch_steals(&c->assignment);
    return 1;
}

static int sync_step(mt_coordinator *c) {
    mt_outer_summary summary;
    mt_outer_norms norms;
    mt_es_gradient *es = &c->worker->gradient.es;
    double start = mt_wall_seconds();
    mt_stop_coordinator_time(&c->profiler);
    send_window(c);
    mt_poll_messages(&c->session->dispatch); /* the window leaves, then the first steals */
    mt_dispatch_steals(&c->assignment);
    if (!mt_wait_for(&c->session->dispatch, &c->assignment.pending, mt_do_work, c->worker)) return 0;
    for (int64_t p = 0; p < c->session->cfg->particles; p++)
        mt_learn_window(&c->profiler, &c->assignment.costs, &c->report[p], c->assignment.cost[p]);
    mt_plan_gradient(es, c->report);
    if (!mt_gather_gradient(&c->worker->gradient, c->counters.step)) return 0;
    mt_finish_gradient(es, c->report, &summary);
    mt_start_coordinator_time(&c->profiler);
    mt_update_theta(c, &summary, &norms);
    return mt_conclude_step(c, &summary, &norms, start);
}

static void sync_assigned(mt_coordinator *c) {
    c->assignment.pending = 0;
}

static int sync_open(mt_coordinator *c, lopt_error *err) {
    size_t n = (size_t)c->session->cfg->particles;
    c->report = calloc(n, sizeof *c->report);
    mt_register_handler(&c->session->dispatch, MT_TAG_REPORTS, take_reports, c, sizeof(double), SIZE_MAX);
    return c->report || mt_error(err, LOPT_ENOMEM, "out of memory for %zu reports", n);
}

static void sync_close(mt_coordinator *c) {
    free(c->report);
    c->report = NULL;
}

const mt_step_mode mt_step_sync = {sync_open, sync_close, sync_assigned, sync_step};
