/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.h - what every rank does, rank 0 included: hold particles, unroll their windows and report them, compute a
 * share of the gradient, validate, write a shard of a checkpoint.
 *
 * Every loop of a rank is: poll messages, do a slice of work (about 200 us, or one inner step if that takes longer),
 * rest if there was neither. So messages are handled between two inner steps, never inside one.
 *
 *     mt_worker_open(&w, session, theta, &err);
 *     mt_assign_worker(&w, step, &err);         its particles and its share of the gradient
 *     mt_serve_coordinator(&w, session, 1);                 a worker's loop, until rank 0 says END or is lost
 *     mt_do_work(&w);                           what rank 0 does while it waits (an mt_work)
 *
 * Handles WINDOW, THETA, SAVE, RESTART and END; its parts handle the rest. */
#ifndef MT_WORKER_H
#define MT_WORKER_H

#include "run/gradient_shares.h"
#include "run/particle_queue.h"
#include "run/validation.h"

enum { MT_OUTBOX = 32 };

typedef struct mt_worker {
    mt_session *session;  /* borrowed */
    mt_meta_theta *theta; /* borrowed */
    mt_unroller unroller; /* with the window in hand */
    mt_particle_queue particles;
    mt_gradient_shares gradient;
    mt_validation validation;
    double window_start; /* wall time when the window in hand began */
    struct {
        mt_report report[MT_OUTBOX]; /* not yet sent */
        int n;
        double sent; /* wall time when reports last left */
    } outbox;
    mt_save_order save; /* the latest, */
    int save_is_due;    /* which is still to be obeyed, when no window is in hand */
    /* The asynchronous mode: particles run in turn under the newest theta. */
    int paused;            /* no window begins until theta comes */
    int64_t turn;          /* particle whose turn it is, or the first one after it that is here */
    int64_t since_theta;   /* windows begun since theta came */
    int64_t unroller_step; /* outer step whose theta the unroller has; -1: none */
    int ended, status;     /* END came */
} mt_worker;

int mt_worker_open(mt_worker *w, mt_session *s, mt_meta_theta *theta, lopt_error *err);
void mt_worker_close(mt_worker *w); /* fine on a half-open one */

/* Opens what is assigned to this rank: new particles, or those of a checkpoint (step >= 0). Tells rank 0 with READY
 * whether that went well and where its particles stand. */
void mt_assign_worker(mt_worker *w, int64_t step);
void mt_send_ready(mt_session *s, const mt_particle *particle, const lopt_error *err); /* particle NULL: none */

int mt_do_work(void *worker);
/* Until END; returns the exit status that rank 0 said. works 0: a worker that could not be opened, only waits. */
int mt_serve_coordinator(mt_worker *w, mt_session *s, int works);

#endif
