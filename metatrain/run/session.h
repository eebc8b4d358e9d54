/* SPDX-License-Identifier: Apache-2.0
 *
 * session.h - what every rank of a run holds from its first message to its last: the other ranks, the configuration,
 * and theta.
 *
 *     mt_session_open(&s, transport, &err);      the session owns the transport from here on
 *     s.cfg = ...                                rank 0: loaded; others: from the handshake (handshake.h)
 *     mt_meta_theta_open(&theta, s.cfg, resumed, &err);
 *     ...
 *     mt_session_close(&s, status); */
#ifndef MT_SESSION_H
#define MT_SESSION_H

#include "config/config.h"
#include "ranks/dispatch.h"

typedef struct mt_session {
    mt_transport *transport;
    mt_membership members;
    mt_dispatch dispatch;
    mt_config *cfg;    /* owned; NULL: not known yet */
    char dir[MT_PATH]; /* of the run; "": nothing is written to disk, nor can lost ranks be made up for */
} mt_session;

int mt_session_open(mt_session *s, mt_transport *transport, lopt_error *err); /* 0: the transport is closed */
/* Ends the transport with this exit status. */
void mt_session_close(mt_session *s, int status);

typedef struct mt_meta_theta {
    lopt_optimizer *optimizer; /* its settings and layout */
    size_t n;
    float *value;             /* [n] */
    unsigned char *trainable; /* [n]: 1, or 0 where frozen */
} mt_meta_theta;

/* resumed: theta will come from a checkpoint, so optimizer.init is not read. */
int mt_meta_theta_open(mt_meta_theta *t, const mt_config *cfg, int resumed, lopt_error *err);
void mt_meta_theta_close(mt_meta_theta *t);

#endif
