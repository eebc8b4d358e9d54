/* SPDX-License-Identifier: Apache-2.0
 *
 * transport.h - messages between two ranks, which survive the death of either; and the clock that ranks wait by.
 *
 *     mt_transport *t = mt_open_mpi();                    mpi_transport.c, the only caller of MPI; or loopback.h
 *     mt_send_message(t, to, tag, data, n);               copies data, returns at once
 *     while (mt_take_message(t, &message)) ...            every message that has arrived; free(message.data)
 *     mt_rest_transport(t, idle_polls++);                 nothing arrived: leave the core to others for a moment
 *     mt_close_transport(t, lost, status);
 *
 * Messages between two ranks arrive in order and once. Each carries the epoch of the sender; it grows when ranks are
 * removed, and mt_take_message leaves out what was sent in an earlier one. Nothing here blocks, because no death of a
 * rank is reported: a send to one that died never ends. Who waits polls, and gives up by its own judgement
 * (membership.h). Running out of memory, or a failure of the network, ends every rank. */
#ifndef MT_TRANSPORT_H
#define MT_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

typedef struct mt_message {
    int from, tag;
    int64_t epoch;
    size_t n;   /* bytes */
    void *data; /* malloc'd, for the receiver to free */
} mt_message;

typedef struct mt_transport mt_transport;

/* What a network does. A send makes its own copy of head and data. */
typedef struct mt_transport_ops {
    void (*send)(mt_transport *t, const int *to, int n_to, int tag, const void *head, size_t n_head, const void *data,
                 size_t n);
    int (*take)(mt_transport *t, int from, mt_message *message); /* data begins with the head; from -1: any rank */
    void (*give_up)(mt_transport *t, int rank);                  /* what is still on its way there holds nobody up */
    void (*flush)(mt_transport *t, double seconds);
    void (*rest)(mt_transport *t, int idle_polls);
    double (*now)(const mt_transport *t);            /* seconds */
    int (*is_gone)(const mt_transport *t, int rank); /* whether a rank is known to be dead; NULL: nothing is known */
    void (*close)(mt_transport *t, int lost, int status); /* frees t */
    void (*abort)(mt_transport *t, int status);           /* does not return */
} mt_transport_ops;

struct mt_transport {
    const mt_transport_ops *ops;
    int rank, size;
    int has_processes; /* ranks are processes, whose deaths their hosts can see */
    int64_t epoch;     /* of this rank, set by its owner */
};

/* MPI where a launcher's environment is there, else one rank alone without MPI. NULL, said on stderr: no memory. */
mt_transport *mt_open_mpi(void);

/* Sends a copy of n bytes to each of the ranks to[n_to] (one copy for all). */
void mt_send_to_all(mt_transport *t, const int *to, int n_to, int tag, const void *data, size_t n);
void mt_send_message(mt_transport *t, int to, int tag, const void *data, size_t n);
/* 1 and the next message of this epoch or a later one, or 0 when none has arrived. */
int mt_take_message(mt_transport *t, mt_message *message);
/* Waits for the next message from a rank, which must have this tag, for as long as it takes: for commands that end
 * when a rank dies. The caller frees. */
void *mt_receive_message(mt_transport *t, int from, int tag, size_t *n);
/* Sleeps briefly, longer the more often it was called in vain: idle_polls = 0, 1, 2, ... */
void mt_rest_transport(const mt_transport *t, int idle_polls);
double mt_transport_seconds(const mt_transport *t);
/* Ends the transport. lost: ranks died or were removed, so that the network cannot end in an orderly way: rank 0 ends
 * every process of the job, the others leave at once with `status`. */
void mt_close_transport(mt_transport *t, int lost, int status);
void mt_abort_ranks(mt_transport *t, int status) __attribute__((noreturn));                /* ends every rank */
void mt_abort_without_memory(mt_transport *t, const char *what) __attribute__((noreturn)); /* says so first */

#endif
