/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient_shares.c - see gradient_shares.h. */
#include "run/gradient_shares.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

int mt_assign_shares(mt_gradient_shares *g, lopt_error *err) {
    const mt_config *cfg = g->session->cfg;
    const mt_membership *members = &g->session->members;
    int place = mt_own_index(members);
    g->n_shares =
        mt_count_shares(cfg, cfg->particles, g->trainable, (int64_t)mt_count_noise_chunks(&g->noise), members->n_live);
    g->pending = 0;
    if (place == 0)
        mt_select_share(&g->es, 0, g->n_shares);
    else {
        mt_es_gradient_close(&g->es);
        if (g->n_shares > 1 && place < g->n_shares &&
            !mt_es_gradient_open_share(&g->es, &cfg->estimator, g->noise, cfg->particles, place, g->n_shares, err))
            return 0;
    }
    g->next = g->es.last;
    return 1;
}

/* SUMS and SLICE: a number (the particle, the window) and one or two arrays. */
static void post_arrays(mt_gradient_shares *g, int to, mt_tag tag, int64_t which, const void *a, size_t a_bytes,
                        const void *b, size_t b_bytes) {
    char *message = malloc(sizeof which + a_bytes + b_bytes);
    if (!message) mt_abort_without_memory(g->session->transport, "a share of the gradient");
    memcpy(message, &which, sizeof which);
    memcpy(message + sizeof which, a, a_bytes);
    if (b_bytes) memcpy(message + sizeof which + a_bytes, b, b_bytes);
    mt_post_message(&g->session->dispatch, to, tag, message, sizeof which + a_bytes + b_bytes);
    free(message);
}

/* ---- noise since the reset --------------------------------------------------------------------- */

/* Those of a particle in the share of place `place`. */
static float *find_sums(mt_gradient_shares *g, int64_t particle, int place, size_t *n) {
    size_t from;
    mt_es_gradient *e = &g->es;
    *n = mt_share_range(e, place, g->n_shares, &from);
    return e->sum + (size_t)particle * e->width + (*n ? from - e->from : 0);
}

void mt_send_sums(mt_gradient_shares *g) {
    size_t n;
    for (int place = 1; g->es.sum && place < g->n_shares; place++)
        for (int64_t p = 0; p < g->es.particles; p++) {
            const float *from = find_sums(g, p, place, &n);
            post_arrays(g, g->session->members.live[place], MT_TAG_SUMS, p, from, n * sizeof *from, NULL, 0);
        }
}

void mt_return_sums(mt_gradient_shares *g) {
    size_t n;
    int place = mt_own_index(&g->session->members);
    for (int64_t p = 0; place > 0 && g->n_shares > 1 && g->es.sum && p < g->es.particles; p++) {
        const float *from = find_sums(g, p, place, &n);
        post_arrays(g, 0, MT_TAG_SUMS, p, from, n * sizeof *from, NULL, 0);
    }
}

static int take_sums(void *self, const mt_message *m) {
    mt_gradient_shares *g = self;
    int64_t particle;
    size_t n;
    memcpy(&particle, m->data, sizeof particle);
    int own = mt_own_index(&g->session->members), place = own > 0 ? own : g->session->members.index[m->from];
    if (!g->es.sum || place < 1 || place >= g->n_shares || particle < 0 || particle >= g->es.particles) return 0;
    float *to = find_sums(g, particle, place, &n);
    if (m->n != sizeof particle + n * sizeof *to) return 0;
    memcpy(to, (const char *)m->data + sizeof particle, n * sizeof *to);
    return 1;
}

/* ---- one outer step ---------------------------------------------------------------------------- */

/* Frozen parameters between chunks travel as zeros. */
static void finish_share(mt_gradient_shares *g) {
    mt_es_gradient *e = &g->es;
    size_t from, n = mt_share_range(e, mt_own_index(&g->session->members), g->n_shares, &from);
    if (mt_own_index(&g->session->members) == 0)
        g->pending--;
    else
        post_arrays(g, 0, MT_TAG_SLICE, g->window, e->gradient + from, n * sizeof *e->gradient, e->squares + e->first,
                    (e->last - e->first) * sizeof *e->squares);
}

int mt_compute_share(void *gradient_shares) {
    mt_gradient_shares *g = gradient_shares;
    mt_es_gradient *e = &g->es;
    if (g->next >= e->last) return 0;
    double start = mt_cpu_seconds();
    mt_compute_chunk(e, g->next);
    double each = (mt_cpu_seconds() - start) / ((double)e->particles * (double)e->chunk[g->next].n);
    g->noise_seconds += (g->noise_seconds > 0 ? 0.01 : 1) * (each - g->noise_seconds);
    if (++g->next == e->last) finish_share(g);
    return 1;
}

static void start_share(mt_gradient_shares *g) {
    g->next = g->es.first;
    if (g->next >= g->es.last) finish_share(g);
}

static int take_plan(void *self, const mt_message *m) {
    mt_gradient_shares *g = self;
    size_t bytes = (size_t)g->session->cfg->particles * sizeof *g->es.plan;
    mt_post_down_tree(&g->session->dispatch, g->n_shares, MT_TAG_PLAN, m->data, m->n);
    if (!g->es.plan || m->n != sizeof g->window + bytes) return 0;
    memcpy(&g->window, m->data, sizeof g->window);
    memcpy(g->es.plan, (const char *)m->data + sizeof g->window, bytes);
    for (const mt_plan *p = g->es.plan; p < g->es.plan + g->session->cfg->particles; p++)
        if (p->particle < 0 || p->particle >= g->session->cfg->particles || p->n_actions < 0 ||
            p->n_actions > MT_MAX_SEGMENTS)
            return 0;
    start_share(g);
    return 1;
}

static int take_slice(void *self, const mt_message *m) {
    mt_gradient_shares *g = self;
    mt_es_gradient *e = &g->es, share = *e;
    int64_t window;
    int place = g->session->members.index[m->from];
    if (place < 1 || place >= g->n_shares) return 0;
    size_t from, n = mt_share_range(e, place, g->n_shares, &from);
    mt_select_share(&share, place, g->n_shares);
    size_t chunks = share.last - share.first;
    if (m->n != sizeof window + (n + chunks) * sizeof(double)) return 0;
    memcpy(&window, m->data, sizeof window);
    if (window != g->window) return 0;
    const char *values = (const char *)m->data + sizeof window;
    memcpy(e->gradient + from, values, n * sizeof(double));
    memcpy(e->squares + share.first, values + n * sizeof(double), chunks * sizeof(double));
    g->pending--;
    return 1;
}

static void post_plan(mt_gradient_shares *g) {
    size_t bytes = (size_t)g->es.particles * sizeof *g->es.plan;
    char *message = malloc(sizeof g->window + bytes);
    if (!message) mt_abort_without_memory(g->session->transport, "the plan of a gradient");
    memcpy(message, &g->window, sizeof g->window);
    memcpy(message + sizeof g->window, g->es.plan, bytes);
    mt_post_down_tree(&g->session->dispatch, g->n_shares, MT_TAG_PLAN, message, sizeof g->window + bytes);
    free(message);
}

int mt_gather_gradient(mt_gradient_shares *g, int64_t window) {
    double start = mt_wall_seconds();
    g->window = window;
    g->pending = g->n_shares;
    if (g->n_shares > 1) post_plan(g);
    start_share(g);
    if (!mt_wait_for(&g->session->dispatch, &g->pending, mt_compute_share, g)) return 0;
    g->gradient_seconds += (g->gradient_seconds > 0 ? 0.05 : 1) * (mt_wall_seconds() - start - g->gradient_seconds);
    return 1;
}

double mt_gradient_cpu_seconds(const mt_gradient_shares *g) {
    double parameters = 0;
    for (size_t k = 0; k < g->es.n_chunks; k++) parameters += (double)g->es.chunk[k].n;
    return g->noise_seconds * parameters * (double)g->es.particles;
}

/* ---- opening --------------------------------------------------------------------------------- */

int mt_gradient_shares_open(mt_gradient_shares *g, mt_session *s, mt_noise noise, lopt_error *err) {
    *g = (mt_gradient_shares){.session = s, .noise = noise};
    for (size_t i = 0; i < noise.n; i++) g->trainable += noise.trained[i];
    mt_register_handler(&s->dispatch, MT_TAG_SUMS, take_sums, g, sizeof(int64_t), SIZE_MAX);
    mt_register_handler(&s->dispatch, MT_TAG_PLAN, take_plan, g, sizeof(int64_t), SIZE_MAX);
    mt_register_handler(&s->dispatch, MT_TAG_SLICE, take_slice, g, sizeof(int64_t), SIZE_MAX);
    return s->transport->rank > 0 || mt_es_gradient_open(&g->es, &s->cfg->estimator, noise, s->cfg->particles, err);
}

void mt_gradient_shares_close(mt_gradient_shares *g) {
    mt_es_gradient_close(&g->es);
    *g = (mt_gradient_shares){0};
}
