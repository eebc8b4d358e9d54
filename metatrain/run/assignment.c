/* SPDX-License-Identifier: Apache-2.0
 *
 * assignment.c - see assignment.h. */
#include "run/assignment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int mt_assign_evenly(mt_assignment *a, lopt_error *err) {
    int n_live = a->session->members.n_live;
    mt_board_close(&a->board);
    if (!mt_board_open(&a->board, n_live)) return mt_error(err, LOPT_ENOMEM, "out of memory for %d ranks", n_live);
    for (int64_t p = 0; p < a->session->cfg->particles; p++) a->owner[p] = (int)(p % n_live);
    return 1;
}

/* ---- before a window ------------------------------------------------------------------------- */

static void place_particles(mt_assignment *a, double rank0_seconds) {
    int64_t n = a->session->cfg->particles;
    mt_cost_model *c = &a->costs;
    c->move += 0.1 * (4 * c->ship - c->move); /* what was measured once may be long past */
    for (int64_t p = 0; p < n; p++) a->cost[p] = mt_predict_cost(c, a->session->cfg, &a->at[p], a->window);
    int64_t moves =
        mt_assign_particles(a->cost, a->owner, n, a->session->members.n_live, rank0_seconds, 2 * c->ship, a->placed);
    if (moves < 0) mt_abort_without_memory(a->session->transport, "the assignment of particles");
}

int64_t mt_assign_window(mt_assignment *a, int64_t window, double rank0_seconds, mt_migration *migration) {
    const int *live = a->session->members.live;
    int64_t n = 0;
    a->window = window;
    place_particles(a, rank0_seconds);
    for (int64_t p = 0; p < a->session->cfg->particles; p++) {
        if (a->placed[p] != a->owner[p]) migration[n++] = (mt_migration){p, live[a->owner[p]], live[a->placed[p]]};
        a->owner[p] = a->placed[p];
        a->asked[p] = 0;
    }
    mt_board_start(&a->board, a->cost, a->owner, a->session->cfg->particles, a->costs.move);
    a->pending = a->session->cfg->particles;
    return n;
}

/* ---- during it ------------------------------------------------------------------------------- */

void mt_dispatch_steals(mt_assignment *a) {
    int thief, victim;
    const int *live = a->session->members.live;
    while (a->pending > 0 && mt_board_match(&a->board, &thief, &victim)) {
        mt_steal steal = {.window = a->window,
                          .particle = -1,
                          .asked = mt_transport_seconds(a->session->transport),
                          .to = live[thief]};
        mt_post_message(&a->session->dispatch, live[victim], MT_TAG_STEAL, &steal, sizeof steal);
    }
}

static int take_steal_reply(void *self, const mt_message *m) {
    mt_assignment *a = self;
    mt_steal reply;
    memcpy(&reply, m->data, sizeof reply);
    if (reply.to < 0 || reply.to >= a->session->transport->size || reply.particle >= a->session->cfg->particles)
        return 0;
    int from = a->session->members.index[m->from], to = a->session->members.index[reply.to];
    if (reply.window != a->window || from < 0 || to < 0) return 1;
    if (reply.particle < 0)
        mt_board_refused(&a->board, to);
    else {
        mt_board_migrated(&a->board, from, to, a->cost[reply.particle]);
        a->asked[reply.particle] = reply.asked;
    }
    mt_dispatch_steals(a);
    return 1;
}

/* From the asking to the report, less the window itself: what the migration took. */
static void learn_migration(mt_assignment *a, const mt_report *r) {
    double *asked = &a->asked[r->particle], now = mt_transport_seconds(a->session->transport);
    if (*asked > 0) a->costs.move += 0.1 * (fmax(now - *asked - r->wall_seconds, 0) - a->costs.move);
    *asked = 0;
}

void mt_note_report(mt_assignment *a, int rank, const mt_report *r) {
    int index = a->session->members.index[rank];
    a->at[r->particle] = r->at;
    a->owner[r->particle] = index;
    a->pending--;
    mt_board_reported(&a->board, index, a->cost[r->particle]);
    learn_migration(a, r);
}

/* ---- opening --------------------------------------------------------------------------------- */

int mt_assignment_open(mt_assignment *a, mt_session *s, lopt_error *err) {
    size_t n = (size_t)s->cfg->particles;
    *a = (mt_assignment){.session = s,
                         .at = calloc(n, sizeof *a->at),
                         .owner = calloc(n, sizeof *a->owner),
                         .placed = calloc(n, sizeof *a->placed),
                         .cost = calloc(n, sizeof *a->cost),
                         .asked = calloc(n, sizeof *a->asked)};
    mt_register_handler(&s->dispatch, MT_TAG_STEAL_REPLY, take_steal_reply, a, sizeof(mt_steal), sizeof(mt_steal));
    return (a->at && a->owner && a->placed && a->cost && a->asked) ||
           mt_error(err, LOPT_ENOMEM, "out of memory for the assignment of %zu particles", n);
}

void mt_assignment_close(mt_assignment *a) {
    mt_board_close(&a->board);
    free(a->at);
    free(a->owner);
    free(a->placed);
    free(a->cost);
    free(a->asked);
    *a = (mt_assignment){0};
}
