/* SPDX-License-Identifier: Apache-2.0
 *
 * membership.h - which ranks are alive. Rank 0 hears of every rank and every rank of rank 0 at least once a
 * second; a silence longer than faults.silence is a death. On one host a process that is gone is
 * noticed within a tenth of a second.
 *
 *     mt_crew_open(&crew, &comm, &err);
 *     mt_crew_beat(&crew, &comm);            often, wherever a rank waits or between inner steps
 *     mt_crew_heard(&crew, &comm, &message); of every message; 1 if it was one of these and is done with
 *     if (crew.n_lost) ...                   rank 0: what mt_crew_bury then takes off the list
 *
 * A rank without rank 0 has nothing to do: mt_crew_beat ends its process. A rank that was only slow is
 * dead to the others and is told to leave when it comes back: that costs time, never bits. */
#ifndef MT_CREW_H
#define MT_CREW_H

#include <sys/types.h>

#include "lopt.h"
#include "ranks/transport.h"

#define MT_CREW_CHILDREN 4 /* of a rank in the tree that theta takes */

typedef struct mt_crew {
    int n_live, *live; /* ranks in order; live[0] is 0 */
    int *index;        /* [size] place in live, -1 for the dead */
    int n_lost;        /* of live ones: died, but are still on the list */
    char *lost;        /* [size] */
    int n_died;        /* of these, whose processes are known to be gone */
    int ever_lost;     /* how many since the start */
    double *heard;     /* [size] when last, on this rank's clock */
    pid_t *pid;        /* [size] 0: has not spoken yet, -1: not a process of this host */
    double silence;    /* seconds */
    double looked, spoke;
} mt_crew;

int mt_crew_open(mt_crew *crew, mt_comm *comm, lopt_error *err); /* the others hear of this rank */
void mt_crew_close(mt_crew *crew);
void mt_crew_beat(mt_crew *crew, mt_comm *comm);
int mt_crew_heard(mt_crew *crew, mt_comm *comm, mt_message *message);
void mt_crew_bury(mt_crew *crew);
void mt_crew_set(mt_crew *crew, const int32_t *live, int n_live); /* as rank 0 says */
/* Sends to the ranks that come after this one in the tree of the living; the first `places` of them
 * are a tree as well. */
void mt_crew_pass_on(const mt_crew *crew, mt_comm *comm, int tag, const void *data, size_t n);
void mt_crew_pass_to(const mt_crew *crew, mt_comm *comm, int places, int tag, const void *data, size_t n);
/* Sends to all living ranks but rank 0. */
void mt_crew_tell(const mt_crew *crew, mt_comm *comm, int tag, const void *data, size_t n);

#endif
