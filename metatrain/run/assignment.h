/* SPDX-License-Identifier: Apache-2.0
 *
 * assignment.h - rank 0: which rank runs which particle, before a window and during it (synchronous mode).
 *
 *     mt_assign_evenly(&a, &err);                     after a start or the loss of ranks
 *     n = mt_assign_window(&a, window, ...);          before a window: by predicted costs (ranks/load_balance.h)
 *     mt_note_report(&a, rank, &report);              of every report; a.pending counts those to come
 *
 * During a window ranks that have nothing left steal from those that have much. Handles STEAL_REPLY. Measured costs
 * say where a particle runs, never what it computes. */
#ifndef MT_ASSIGNMENT_H
#define MT_ASSIGNMENT_H

#include "es/window_report.h"
#include "ranks/load_balance.h"
#include "run/session.h"

typedef struct mt_assignment {
    mt_session *session; /* borrowed */
    int64_t window;
    int64_t pending;          /* reports of the window */
    mt_particle_counters *at; /* [particles] as last heard */
    int *owner, *placed;      /* [particles] places among the living; placed: in the coming window */
    double *cost;             /* [particles] predicted seconds of the window */
    double *asked;            /* [particles] when its rank was asked for it; 0: not */
    mt_load_board board;
    mt_cost_model costs;
} mt_assignment;

int mt_assignment_open(mt_assignment *a, mt_session *s, lopt_error *err);
void mt_assignment_close(mt_assignment *a);
/* Particle p is at the living rank p mod n_live. */
int mt_assign_evenly(mt_assignment *a, lopt_error *err);
/* Who migrates before the window: fills migration[particles], returns how many. rank0_seconds: that rank 0 is busy
 * with the reports of the others. */
int64_t mt_assign_window(mt_assignment *a, int64_t window, double rank0_seconds, mt_migration *migration);
/* Sends steals to ranks that have much left, for those that have nothing. */
void mt_dispatch_steals(mt_assignment *a);
void mt_note_report(mt_assignment *a, int rank, const mt_report *report);

#endif
