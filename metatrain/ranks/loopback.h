/* SPDX-License-Identifier: Apache-2.0
 *
 * loopback.h - virtual ranks in one process, for tests of what ranks say to each other.
 *
 *     mt_loopback *net = mt_loopback_open(&plan);            NULL: no memory
 *     mt_run_loopback(net, rank_main, argument);             a thread a rank; returns when all have ended
 *     mt_loopback_close(net);
 *
 * One rank runs at a time; who is next, how long each message is under way and how fast the clock goes is drawn from
 * the seed, so a run repeats itself. Messages between two ranks arrive in order and once, as with MPI; those of
 * different ranks overtake each other. A rank that is lost is cut off: nothing that it sends after its last message
 * arrives, nor anything sent to it. The clock is virtual: where all ranks wait it jumps, so that a time-out takes no
 * time. */
#ifndef MT_LOOPBACK_H
#define MT_LOOPBACK_H

#include "ranks/transport.h"

typedef struct mt_loopback_plan {
    int ranks;
    uint64_t seed;
    double delay;          /* seconds that a message is under way for at most */
    int sees_deaths;       /* a lost rank is noticed as on one host, else by its heartbeat alone */
    int lost_rank;         /* -1: none is lost */
    int64_t last_message;  /* that it sends, counted from 1 */
    void (*on_loss)(void); /* called when that message was sent; NULL: the rank is cut off */
} mt_loopback_plan;

typedef struct mt_loopback mt_loopback;
/* The work of a rank, which closes its transport. */
typedef void mt_rank_main(void *argument, mt_transport *transport);

mt_loopback *mt_loopback_open(const mt_loopback_plan *plan);
void mt_run_loopback(mt_loopback *net, mt_rank_main *rank_main, void *argument);
int64_t mt_count_sent(const mt_loopback *net, int rank);
int64_t mt_count_tag(const mt_loopback *net, int tag); /* sent by all ranks */
void mt_loopback_close(mt_loopback *net);

#endif
