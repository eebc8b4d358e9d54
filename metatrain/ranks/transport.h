/* SPDX-License-Identifier: Apache-2.0
 *
 * transport.h - the only caller of MPI: messages between two ranks, which survive the death of either.
 *
 *     mt_comm_open(&comm);
 *     mt_comm_send(&comm, to, tag, data, n);          copies data, returns at once
 *     while (mt_comm_take(&comm, &message)) ...       every message that has come; free(message.data)
 *     mt_comm_rest(&comm, looks++);                   nothing had: leave the core to others for a moment
 *     mt_comm_close(&comm);
 *
 * Without mpirun there is one rank and MPI is never started. Little here blocks, because MPI reports
 * no death of a rank: a send to one that died never ends, nor does a receive of what it was sending.
 * Who waits looks again and again, and gives up by its own judgement (membership.h).
 *
 * Messages between two ranks arrive in order. Each carries the epoch of the sender; it grows when
 * ranks are lost, and mt_comm_take leaves out what was sent in an earlier one. */
#ifndef MT_COMM_H
#define MT_COMM_H

#include <stddef.h>
#include <stdint.h>

typedef struct mt_message {
    int from, tag;
    int64_t epoch;
    size_t n;   /* bytes */
    void *data; /* malloc'd, for the receiver to free */
} mt_message;

typedef struct mt_comm {
    int rank, size;
    int mpi;            /* MPI was started by us */
    int crowded;        /* this host has more ranks than cores: who waits sleeps at once */
    int64_t epoch;      /* changed by the owner */
    size_t bytes_sent;  /* so far */
    struct mt_out *out; /* being sent, oldest first */
    struct mt_in *in;   /* being received, in the order of their coming */
} mt_comm;

void mt_comm_open(mt_comm *comm); /* starts MPI if a launcher's environment is there */
/* Ends MPI. lost: ranks died or were given up, so that MPI cannot end in an orderly way: rank 0 ends
 * every process of the job, the others leave at once with `status`. */
void mt_comm_close(mt_comm *comm, int lost, int status);
void mt_comm_abort(mt_comm *comm, int status) __attribute__((noreturn)); /* ends every rank */

/* Sends a copy of n bytes to each of the ranks to[n_to] (one copy for all). Aborts when memory or MPI
 * fails, as all functions here. */
void mt_comm_send_all(mt_comm *comm, const int *to, int n_to, int tag, const void *data, size_t n);
void mt_comm_send(mt_comm *comm, int to, int tag, const void *data, size_t n);
/* What is still on its way to a rank that is given up holds nobody up. */
void mt_comm_give_up(mt_comm *comm, int rank);
/* 1 and the next message, or 0 when none has come. */
int mt_comm_take(mt_comm *comm, mt_message *message);
/* Waits for the next message from a rank, which must have this tag, for as long as it takes: for
 * commands that end when a rank dies. The caller frees. */
void *mt_comm_receive(mt_comm *comm, int from, int tag, size_t *n);
/* Sleeps briefly, longer the more often it was called in vain: looks = 0, 1, 2, ... */
void mt_comm_rest(const mt_comm *comm, int looks);
/* Until all that was sent has left, or so many seconds have passed. */
void mt_comm_flush(mt_comm *comm, double seconds);

#endif
