/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake.h - the first messages of a run: rank 0 sends the configuration (SETUP), every rank says whether it can
 * go on (READY, also after RESTART). */
#ifndef MT_HANDSHAKE_H
#define MT_HANDSHAKE_H

#include "es/trajectory.h"
#include "run/session.h"

/* Rank 0. */
void mt_send_setup(mt_session *s, int64_t resume_step);
/* Waits until every living rank, this one included, has posted READY; at[particles]: where their particles stand.
 * 0 and a message if a rank cannot go on or was lost. */
int mt_wait_ready(mt_session *s, mt_particle_counters *at, lopt_error *err);
/* Tells every worker to end with this status. */
void mt_dismiss_workers(mt_session *s, int status);

/* The others: 1 and s->cfg (NULL and a message if it cannot be used here), s->dir and the step to resume from; or 0:
 * to end with *status. */
int mt_receive_setup(mt_session *s, int64_t *resume_step, int *status, lopt_error *err);

#endif
