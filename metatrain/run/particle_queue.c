/* SPDX-License-Identifier: Apache-2.0
 *
 * particle_queue.c - see particle_queue.h. */
#include "run/particle_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "ranks/load_balance.h"
#include "store/checkpoint.h"

static mt_transport *transport_of(const mt_particle_queue *q) {
    return q->session->transport;
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

/* Names the memory of all particles here; *n items. The caller frees both arrays. */
static int list_items(mt_particle_queue *q, mt_item **items, char (**names)[MT_PARTICLE_NAME], size_t *n,
                      lopt_error *err) {
    size_t all = (size_t)q->session->cfg->particles;
    *items = calloc(all * MT_PARTICLE_ITEMS + 1, sizeof **items);
    *names = calloc(all * MT_PARTICLE_ITEMS + 1, sizeof **names);
    *n = 0;
    if (!*items || !*names) return mt_error(err, LOPT_ENOMEM, "out of memory for a checkpoint of %zu particles", all);
    for (size_t p = 0; p < all; p++)
        if (q->particle[p].memory) {
            mt_particle_items(&q->particle[p], &q->sampler->sizes, *items + *n, *names + *n);
            *n += MT_PARTICLE_ITEMS;
        }
    return 1;
}

int mt_save_shard(mt_particle_queue *q, const mt_save_order *order, lopt_error *err) {
    mt_item *items;
    char(*names)[MT_PARTICLE_NAME];
    size_t n;
    int ok = list_items(q, &items, &names, &n, err) &&
             mt_checkpoint_write_shard(q->session->dir, order->step, order->attempt, mt_own_index(&q->session->members),
                                       items, n, err);
    free(items);
    free(names);
    return ok;
}

/* The file's digest was verified, but its counters are used as indices and lengths here. */
static int check_counters(const mt_particle_queue *q, int64_t number, lopt_error *err) {
    const mt_particle_counters *c = &q->particle[number].at;
    if (c->number == number && mt_check_counters(q->session->cfg, c)) return 1;
    return mt_error(err, LOPT_EARG,
                    "%s/checkpoints: the counters of particle %lld make no sense for this configuration",
                    q->session->dir, (long long)number);
}

static int load_particles(mt_particle_queue *q, int64_t step, lopt_error *err) {
    mt_item *items;
    char(*names)[MT_PARTICLE_NAME];
    size_t n;
    int ok =
        list_items(q, &items, &names, &n, err) && mt_checkpoint_read_particles(q->session->dir, step, items, n, err);
    for (int64_t p = 0; ok && p < q->session->cfg->particles; p++)
        if (q->particle[p].memory) ok = check_counters(q, p, err);
    free(items);
    free(names);
    return ok;
}

int mt_open_particles(mt_particle_queue *q, int64_t step, lopt_error *err) {
    const mt_membership *members = &q->session->members;
    q->n_queued = 0;
    q->window = -1;
    q->window_eta = 0;
    for (int64_t p = 0; p < q->session->cfg->particles; p++) {
        mt_particle_close(&q->particle[p]);
        mt_sampler_forget(q->sampler, p);
        if (p % members->n_live == mt_own_index(members) &&
            !mt_particle_open(&q->particle[p], p, &q->sampler->sizes, err))
            return 0;
    }
    return step < 0 || load_particles(q, step, err);
}

/* ---- the window ------------------------------------------------------------------------------ */

static double predict_particle(const mt_particle_queue *q, int64_t particle) {
    return mt_predict_cost(&q->costs, q->session->cfg, &q->particle[particle].at, q->window);
}

static int compare_costs(const void *a, const void *b) {
    const mt_queued *x = a, *y = b;
    if (x->cost != y->cost) return x->cost > y->cost ? 1 : -1;
    return (x->particle < y->particle) - (x->particle > y->particle);
}

static void enqueue_particle(mt_particle_queue *q, int64_t particle) {
    double cost = predict_particle(q, particle);
    int64_t i = q->n_queued++;
    for (; i > 0 && q->queued[i - 1].cost > cost; i--) q->queued[i] = q->queued[i - 1];
    q->queued[i] = (mt_queued){cost, particle};
}

static mt_queued dequeue_particle(mt_particle_queue *q, int64_t i) {
    mt_queued taken = q->queued[i];
    q->n_queued--;
    memmove(q->queued + i, q->queued + i + 1, (size_t)(q->n_queued - i) * sizeof *q->queued);
    return taken;
}

int mt_take_queued(mt_particle_queue *q, mt_queued *next) {
    if (q->n_queued == 0) return 0;
    *next = dequeue_particle(q, q->n_queued - 1);
    return 1;
}

/* ---- migration ------------------------------------------------------------------------------- */

static void send_particle(mt_particle_queue *q, int64_t particle, int to) {
    size_t bytes = sizeof q->window + mt_particle_bytes(&q->sampler->sizes);
    double start = mt_process_seconds();
    char *buffer = malloc(bytes);
    if (!buffer) mt_abort_without_memory(transport_of(q), "a particle");
    memcpy(buffer, &q->window, sizeof q->window);
    mt_particle_pack(&q->particle[particle], &q->sampler->sizes, buffer + sizeof q->window);
    mt_post_message(&q->session->dispatch, to, MT_TAG_PARTICLE, buffer, bytes);
    mt_particle_close(&q->particle[particle]);
    mt_sampler_forget(q->sampler, particle);
    free(buffer);
    q->migrate_seconds += 0.1 * (mt_process_seconds() - start - q->migrate_seconds);
}

/* A particle may arrive before the window that it is for: theta comes by another way. */
static int take_particle(void *self, const mt_message *m) {
    mt_particle_queue *q = self;
    int64_t window;
    mt_particle arrived;
    memcpy(&window, m->data, sizeof window);
    if (!mt_particle_unpack(&arrived, &q->sampler->sizes, (char *)m->data + sizeof window, NULL))
        mt_abort_without_memory(transport_of(q), "a particle");
    int64_t number = arrived.at.number;
    if (!mt_check_counters(q->session->cfg, &arrived.at) || q->particle[number].memory) {
        mt_particle_close(&arrived);
        return 0;
    }
    q->particle[number] = arrived;
    if (window == q->window) enqueue_particle(q, number);
    return 1;
}

int mt_check_migration(const mt_particle_queue *q, const mt_migration *m) {
    int ranks = transport_of(q)->size;
    return m->particle >= 0 && m->particle < q->session->cfg->particles && m->from >= 0 && m->from < ranks &&
           m->to >= 0 && m->to < ranks && m->to != m->from &&
           (m->from != transport_of(q)->rank || q->particle[m->particle].memory);
}

void mt_queue_window(mt_particle_queue *q, const mt_window_head *head, const mt_migration *migration) {
    q->window = head->window;
    q->costs = head->costs;
    q->n_queued = 0;
    for (int64_t i = 0; i < head->n_migrations; i++)
        if (migration[i].from == transport_of(q)->rank) send_particle(q, migration[i].particle, migration[i].to);
    for (int64_t p = 0; p < q->session->cfg->particles; p++)
        if (q->particle[p].memory) q->queued[q->n_queued++] = (mt_queued){predict_particle(q, p), p};
    qsort(q->queued, (size_t)q->n_queued, sizeof *q->queued, compare_costs);
}

/* The queued particle whose migration lets both ranks end soonest; -1: none would pay. */
static int64_t choose_particle(mt_particle_queue *q) {
    double *cost = malloc(((size_t)q->n_queued + 1) * sizeof *cost);
    if (!cost) mt_abort_without_memory(transport_of(q), "the costs of particles");
    for (int64_t i = 0; i < q->n_queued; i++) cost[i] = q->queued[i].cost;
    double running = q->window_eta - mt_transport_seconds(transport_of(q));
    int64_t i = mt_choose_migration(cost, q->n_queued, running > 0 ? running : 0, q->costs.move);
    free(cost);
    return i;
}

/* The answer goes first, so that rank 0 knows of the migration before the thief reports. */
static int take_steal(void *self, const mt_message *m) {
    mt_particle_queue *q = self;
    mt_steal steal;
    memcpy(&steal, m->data, sizeof steal);
    if (steal.to < 0 || steal.to >= transport_of(q)->size) return 0;
    if (steal.window < q->window) return 1;
    int64_t i = steal.window == q->window ? choose_particle(q) : -1; /* else its window is still under way */
    steal.particle = i >= 0 ? dequeue_particle(q, i).particle : -1;
    mt_post_message(&q->session->dispatch, 0, MT_TAG_STEAL_REPLY, &steal, sizeof steal);
    if (i >= 0) send_particle(q, steal.particle, steal.to);
    return 1;
}

/* ---- opening --------------------------------------------------------------------------------- */

int mt_particle_queue_open(mt_particle_queue *q, mt_session *s, mt_task_sampler *sampler, lopt_error *err) {
    size_t n = (size_t)s->cfg->particles, bytes = sizeof q->window + mt_particle_bytes(&sampler->sizes);
    *q = (mt_particle_queue){.session = s, .sampler = sampler, .window = -1};
    q->migrate_seconds = 50e-6 + (double)bytes / 1e9;
    q->particle = calloc(n, sizeof *q->particle);
    q->queued = calloc(n, sizeof *q->queued);
    if (!q->particle || !q->queued) return mt_error(err, LOPT_ENOMEM, "out of memory for %zu particles", n);
    mt_register_handler(&s->dispatch, MT_TAG_PARTICLE, take_particle, q, bytes, bytes);
    mt_register_handler(&s->dispatch, MT_TAG_STEAL, take_steal, q, sizeof(mt_steal), sizeof(mt_steal));
    return 1;
}

void mt_particle_queue_close(mt_particle_queue *q) {
    for (int64_t p = 0; q->particle && p < q->session->cfg->particles; p++) mt_particle_close(&q->particle[p]);
    free(q->particle);
    free(q->queued);
    *q = (mt_particle_queue){0};
}
