/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c - see worker.h. */
#include "run/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

#define SEND_SECONDS 1e-3 /* reports are sent together if they are done within such a time */

static int is_asynchronous(const mt_worker *w) {
    return w->session->cfg->outer.mode == MT_ASYNCHRONOUS;
}

/* ---- windows --------------------------------------------------------------------------------- */

static void send_reports(mt_worker *w) {
    struct {
        double cpu;
        mt_report report[MT_OUTBOX];
    } message = {.cpu = mt_process_seconds()};
    size_t bytes = (size_t)w->outbox.n * sizeof *w->outbox.report;
    memcpy(message.report, w->outbox.report, bytes);
    w->outbox.n = 0;
    w->outbox.sent = mt_transport_seconds(w->session->transport);
    mt_post_message(&w->session->dispatch, 0, MT_TAG_REPORTS, &message, sizeof message.cpu + bytes);
}

static void begin_window(mt_worker *w, int64_t particle, double cost) {
    lopt_error err;
    w->window_start = mt_transport_seconds(w->session->transport);
    w->particles.window_eta = w->window_start + cost;
    if (!mt_begin_window(&w->unroller, &w->particles.particle[particle], w->particles.window, &err))
        mt_abort_ranks(w->session->transport, mt_print_error(&err));
}

static void finish_window(mt_worker *w) {
    mt_report *report = &w->outbox.report[w->outbox.n++];
    mt_finish_window(&w->unroller, report);
    double now = mt_transport_seconds(w->session->transport);
    report->wall_seconds = now - w->window_start;
    w->particles.window_eta = 0;
    if (is_asynchronous(w) || w->particles.n_queued == 0 || w->outbox.n == MT_OUTBOX ||
        now > w->outbox.sent + SEND_SECONDS)
        send_reports(w);
}

static void continue_window(mt_worker *w) {
    do {
        if (!mt_step_window(&w->unroller)) {
            finish_window(w);
            return;
        }
    } while (!mt_poll_is_due(&w->session->dispatch));
}

/* The particle here whose turn it is; -1: there is none. */
static int64_t find_turn(const mt_worker *w) {
    int64_t all = w->session->cfg->particles;
    for (int64_t i = 0; i < all; i++)
        if (w->particles.particle[(w->turn + i) % all].memory) return (w->turn + i) % all;
    return -1;
}

/* Until no more windows of this theta can count: rank 0 is behind, and has reports enough. */
static int begin_asynchronous(mt_worker *w) {
    const mt_config *cfg = w->session->cfg;
    int64_t batch = cfg->outer.batch ? cfg->outer.batch : cfg->particles, particle = find_turn(w);
    if (w->paused || particle < 0 || w->since_theta >= batch * (cfg->outer.staleness + 1)) return 0;
    if (w->unroller_step != w->particles.window) mt_unroller_set_theta(&w->unroller, w->theta->value);
    w->unroller_step = w->particles.window;
    w->turn = particle + 1;
    w->since_theta++;
    begin_window(w, particle, 0);
    return 1;
}

/* 0: no window is to be begun. */
static int begin_next_window(mt_worker *w) {
    mt_queued next;
    if (is_asynchronous(w)) return begin_asynchronous(w);
    if (!mt_take_queued(&w->particles, &next)) return 0;
    begin_window(w, next.particle, next.cost);
    return 1;
}

/* ---- work ------------------------------------------------------------------------------------ */

static void save_shard(mt_worker *w) {
    lopt_error err = {LOPT_OK, ""};
    w->save_is_due = 0;
    mt_save_shard(&w->particles, &w->save, &err);
    mt_return_sums(&w->gradient); /* before the answer: rank 0 has them all when that comes */
    mt_post_message(&w->session->dispatch, 0, MT_TAG_SAVED, &err, sizeof err);
}

int mt_do_work(void *worker) {
    mt_worker *w = worker;
    if (!w->unroller.particle) {
        if (w->save_is_due) {
            save_shard(w);
            return 1;
        }
        if (mt_compute_share(&w->gradient) || mt_run_validation_job(&w->validation)) return 1;
        if (!begin_next_window(w)) {
            if (w->outbox.n == 0) return 0;
            send_reports(w); /* the last particle of the queue migrated */
            return 1;
        }
    }
    continue_window(w);
    return 1;
}

/* ---- messages -------------------------------------------------------------------------------- */

static int take_window(void *self, const mt_message *m) {
    mt_worker *w = self;
    mt_window_head head;
    size_t theta_bytes = w->theta->n * sizeof(float);
    mt_post_down_tree(&w->session->dispatch, w->session->members.n_live, MT_TAG_WINDOW, m->data, m->n);
    memcpy(&head, m->data, sizeof head);
    if (head.n_migrations < 0 || head.n_migrations > w->session->cfg->particles ||
        m->n != sizeof head + (size_t)head.n_migrations * sizeof(mt_migration) + theta_bytes)
        return 0;
    const mt_migration *migration = (const mt_migration *)((const char *)m->data + sizeof head);
    for (int64_t i = 0; i < head.n_migrations; i++)
        if (!mt_check_migration(&w->particles, &migration[i])) return 0;
    memcpy(w->theta->value, migration + head.n_migrations, theta_bytes);
    mt_unroller_set_theta(&w->unroller, w->theta->value);
    mt_queue_window(&w->particles, &head, migration);
    return 1;
}

static int take_theta(void *self, const mt_message *m) {
    mt_worker *w = self;
    memcpy(&w->particles.window, m->data, sizeof w->particles.window);
    /* On rank 0 this is the coordinator's own theta, which does not change before the message is handled. */
    memcpy(w->theta->value, (const char *)m->data + sizeof w->particles.window, w->theta->n * sizeof(float));
    w->paused = 0;
    w->since_theta = 0;
    mt_post_message(&w->session->dispatch, 0, MT_TAG_THETA_ACK, NULL, 0);
    return 1;
}

static int take_save(void *self, const mt_message *m) {
    mt_worker *w = self;
    memcpy(&w->save, m->data, sizeof w->save);
    w->save_is_due = w->paused = 1;
    return 1;
}

static void abandon_work(mt_worker *w) {
    w->unroller.particle = NULL;
    w->outbox.n = 0;
    w->particles.n_queued = 0;
    w->save_is_due = 0;
    mt_abandon_validation(&w->validation);
}

static int take_restart(void *self, const mt_message *m) {
    mt_worker *w = self;
    int64_t step;
    size_t n = (m->n - sizeof step) / sizeof(int32_t);
    const int32_t *live = (const int32_t *)((const char *)m->data + sizeof step);
    if (n < 1 || n > (size_t)w->session->transport->size) return 0;
    for (size_t i = 0; i < n; i++)
        if (live[i] < 0 || live[i] >= w->session->transport->size) return 0;
    memcpy(&step, m->data, sizeof step);
    if (w->session->transport->rank > 0) mt_set_members(&w->session->members, live, (int)n);
    w->session->transport->epoch = m->epoch;
    mt_assign_worker(w, step);
    return 1;
}

static int take_end(void *self, const mt_message *m) {
    mt_worker *w = self;
    int32_t end[2];
    memcpy(end, m->data, sizeof end);
    w->ended = 1;
    w->status = end[0];
    w->session->members.ever_failed += end[1];
    return 1;
}

/* ---- a worker's life ------------------------------------------------------------------------- */

void mt_send_ready(mt_session *s, const mt_particle *particle, const lopt_error *err) {
    int64_t all = particle ? s->cfg->particles : 0;
    size_t bytes = sizeof *err;
    char *message = malloc(bytes + (size_t)all * sizeof(mt_particle_counters));
    if (!message) mt_abort_without_memory(s->transport, "an answer");
    memcpy(message, err, sizeof *err);
    for (int64_t p = 0; p < all; p++)
        if (particle[p].memory) {
            memcpy(message + bytes, &particle[p].at, sizeof particle[p].at);
            bytes += sizeof particle[p].at;
        }
    mt_post_message(&s->dispatch, 0, MT_TAG_READY, message, bytes);
    free(message);
}

void mt_assign_worker(mt_worker *w, int64_t step) {
    lopt_error err = {LOPT_OK, ""};
    abandon_work(w);
    w->paused = 1;
    w->turn = 0;
    w->unroller_step = -1;
    if (mt_open_particles(&w->particles, step, &err) && mt_assign_shares(&w->gradient, &err)) err.status = LOPT_OK;
    mt_send_ready(w->session, w->particles.particle, &err);
}

int mt_serve_coordinator(mt_worker *w, mt_session *s, int works) {
    w->session = s;
    mt_register_handler(&s->dispatch, MT_TAG_END, take_end, w, 2 * sizeof(int32_t), 2 * sizeof(int32_t));
    if (s->cfg) s->members.timeout = s->cfg->faults.silence;
    for (int idle_polls = 0; !w->ended && !s->members.coordinator_failed;) {
        int busy = mt_poll_messages(&s->dispatch) > 0;
        if ((works && !w->ended && mt_do_work(w)) || busy)
            idle_polls = 0;
        else
            mt_rest_transport(s->transport, idle_polls++);
    }
    return w->ended ? w->status : MT_STOPPED;
}

static void register_worker(mt_worker *w) {
    mt_dispatch *d = &w->session->dispatch;
    size_t theta_bytes = w->theta->n * sizeof(float), step = sizeof(int64_t);
    mt_register_handler(d, MT_TAG_WINDOW, take_window, w, sizeof(mt_window_head) + theta_bytes, SIZE_MAX);
    mt_register_handler(d, MT_TAG_THETA, take_theta, w, step + theta_bytes, step + theta_bytes);
    mt_register_handler(d, MT_TAG_SAVE, take_save, w, sizeof w->save, sizeof w->save);
    mt_register_handler(d, MT_TAG_RESTART, take_restart, w, step + sizeof(int32_t), SIZE_MAX);
}

int mt_worker_open(mt_worker *w, mt_session *s, mt_meta_theta *theta, lopt_error *err) {
    *w = (mt_worker){.session = s, .theta = theta, .paused = 1, .unroller_step = -1};
    register_worker(w);
    return mt_unroller_open(&w->unroller, s->cfg, theta->optimizer, theta->trainable, err) &&
           mt_particle_queue_open(&w->particles, s, &w->unroller.sampler, err) &&
           mt_gradient_shares_open(&w->gradient, s, w->unroller.noise, err) &&
           mt_validation_open(&w->validation, s, err);
}

void mt_worker_close(mt_worker *w) {
    mt_validation_close(&w->validation);
    mt_gradient_shares_close(&w->gradient);
    mt_particle_queue_close(&w->particles);
    mt_unroller_close(&w->unroller);
}
