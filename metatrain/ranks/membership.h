/* SPDX-License-Identifier: Apache-2.0
 *
 * membership.h - which ranks take part: the failure detector.
 *
 * Rank 0 gets a heartbeat of every rank, and every rank one of rank 0, at least once a second. A rank whose heartbeat
 * is missing for longer than `timeout` has failed; on one host a process that is gone is noticed within a tenth of a
 * second.
 *
 *     mt_membership_open(&m, transport, &err);
 *     mt_send_heartbeats(&m);                      often, wherever a rank waits and between inner steps
 *     mt_take_heartbeat(&m, &message);             of every message; 1 if it was one and is done with
 *     if (m.n_failed) ...                          rank 0: which mt_remove_failed then takes off the list
 *     if (m.coordinator_failed) ...                the others: there is nothing left to do
 *
 * A suspected rank stays excluded even if it recovers; it is told to leave. This affects run time, not results. */
#ifndef MT_MEMBERSHIP_H
#define MT_MEMBERSHIP_H

#include <sys/types.h>

#include "lopt.h"
#include "ranks/transport.h"

#define MT_TREE_CHILDREN 4 /* of a rank in the tree that theta takes */

typedef struct mt_membership {
    mt_transport *transport; /* borrowed */
    int n_live, *live;       /* ranks in order; live[0] is 0 */
    int *index;              /* [size] place in live, -1 for those removed */
    int n_failed;            /* of live ones, that failed but are still on the list */
    char *failed;            /* [size] */
    int n_died;              /* of these, whose processes are known to be gone */
    int ever_failed;         /* how many since the start */
    int coordinator_failed;  /* on other ranks than 0 */
    double *last_heartbeat;  /* [size] on this rank's clock */
    pid_t *pid;              /* [size] 0: no heartbeat yet, -1: not a process of this host */
    double timeout;          /* seconds */
    double checked, sent;
} mt_membership;

int mt_membership_open(mt_membership *m, mt_transport *transport, lopt_error *err); /* sends the first heartbeat */
void mt_membership_close(mt_membership *m);
void mt_send_heartbeats(mt_membership *m);
int mt_take_heartbeat(mt_membership *m, mt_message *message);
void mt_remove_failed(mt_membership *m);                                /* rank 0 */
void mt_set_members(mt_membership *m, const int32_t *live, int n_live); /* as rank 0 says */
/* Place of this rank among the living. */
int mt_own_index(const mt_membership *m);
/* The ranks that come after this one in the tree of the first `places` of the living: what rank 0 sends to them
 * reaches all if each sends it on. Returns how many. */
int mt_list_children(const mt_membership *m, int places, int children[MT_TREE_CHILDREN]);

#endif
