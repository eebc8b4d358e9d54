/* SPDX-License-Identifier: Apache-2.0
 *
 * particle_queue.h - the particles of this rank: their memory, which of them still run in this window, and how they
 * get to other ranks and to disk.
 *
 * A particle lives on one rank, which holds its memory; that rank alone runs its windows, and whoever that is gets
 * the same bits. Between windows rank 0 moves particles (WINDOW says which); during a window an idle rank gets one
 * that a busy rank has not begun (STEAL). Handles PARTICLE and STEAL. */
#ifndef MT_PARTICLE_QUEUE_H
#define MT_PARTICLE_QUEUE_H

#include "es/unroll.h"
#include "run/session.h"

typedef struct mt_queued {
    double cost; /* predicted seconds */
    int64_t particle;
} mt_queued;

typedef struct mt_particle_queue {
    mt_session *session;      /* borrowed */
    mt_task_sampler *sampler; /* borrowed */
    mt_particle *particle;    /* [particles]; memory NULL: another rank holds it */
    int64_t window;           /* outer step being run, or the last one; -1: none yet */
    mt_queued *queued;        /* [n_queued] not begun in this window, longest last */
    int64_t n_queued;
    mt_cost_model costs;
    double window_eta;      /* when the window in hand will end, by prediction; 0: none is in hand */
    double migrate_seconds; /* CPU time of sending a particle, running mean */
} mt_particle_queue;

int mt_particle_queue_open(mt_particle_queue *q, mt_session *s, mt_task_sampler *sampler, lopt_error *err);
void mt_particle_queue_close(mt_particle_queue *q);

/* Opens this rank's particles, as they are assigned after a start or the loss of ranks (particle p to the living rank
 * p mod n_live): new ones, or those of a checkpoint (step >= 0). */
int mt_open_particles(mt_particle_queue *q, int64_t step, lopt_error *err);
/* Whether what WINDOW says can be done here. */
int mt_check_migration(const mt_particle_queue *q, const mt_migration *migration);
/* Begins a window: all particles here are to be run, but for those that migrate, which are sent. */
void mt_queue_window(mt_particle_queue *q, const mt_window_head *head, const mt_migration *migration);
/* The longest that is left; 0: none. */
int mt_take_queued(mt_particle_queue *q, mt_queued *next);

/* Writes this rank's shard of a checkpoint. */
int mt_save_shard(mt_particle_queue *q, const mt_save_order *order, lopt_error *err);

#endif
