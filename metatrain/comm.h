/* SPDX-License-Identifier: Apache-2.0
 *
 * comm.h - the only caller of MPI. Point-to-point messages between ranks; rank 0 coordinates.
 *
 * Without mpirun there is one rank and MPI is never started. Waiting is done with Iprobe and short
 * sleeps, never in a busy collective, so an oversubscribed core is not burnt and signals are seen.
 */
#ifndef MT_COMM_H
#define MT_COMM_H

#include <stddef.h>

typedef struct mt_comm {
    int rank, size;
    int mpi; /* MPI was started by us */
} mt_comm;

void mt_comm_open(mt_comm *comm); /* starts MPI if a launcher's environment is there */
void mt_comm_close(mt_comm *comm);
void mt_comm_abort(mt_comm *comm, int status) __attribute__((noreturn)); /* ends every rank */

/* Sends n bytes to rank `to`. Blocks until the buffer may be reused. */
void mt_comm_send(mt_comm *comm, int to, int tag, const void *data, size_t n);
/* Waits for a message from rank `from` (-1: any) with `tag` (-1: any); fills *source and *got_tag
 * if not NULL. Returns a malloc'd buffer of *n bytes; never NULL (aborts when memory or MPI fails).
 */
void *mt_comm_receive(mt_comm *comm, int from, int tag, int *source, int *got_tag, size_t *n);

#endif
