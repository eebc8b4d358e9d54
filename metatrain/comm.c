/* SPDX-License-Identifier: Apache-2.0
 *
 * comm.c - see comm.h. */
#include "comm.h"

#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Environment variables that a launcher sets for each rank: Open MPI, MPICH and others over PMI. */
static int launched(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK",
                                        "PMI_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return 1;
    return 0;
}

static void check(mt_comm *comm, int rc, const char *what) {
    if (rc == MPI_SUCCESS)
        return;
    char text[MPI_MAX_ERROR_STRING];
    int n = 0;
    MPI_Error_string(rc, text, &n);
    fprintf(stderr, "metatrain: rank %d: %s failed: %.*s\n", comm->rank, what, n, text);
    mt_comm_abort(comm, 1);
}

void mt_comm_open(mt_comm *comm) {
    *comm = (mt_comm){0, 1, 0};
    if (!launched())
        return;
    MPI_Init(NULL, NULL);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &comm->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &comm->size);
    comm->mpi = 1;
}

void mt_comm_close(mt_comm *comm) {
    if (comm->mpi)
        MPI_Finalize();
    comm->mpi = 0;
}

void mt_comm_abort(mt_comm *comm, int status) {
    if (comm->mpi)
        MPI_Abort(MPI_COMM_WORLD, status);
    exit(status);
}

void mt_comm_send(mt_comm *comm, int to, int tag, const void *data, size_t n) {
    check(comm, MPI_Send(data, (int)n, MPI_BYTE, to, tag, MPI_COMM_WORLD), "sending a message");
}

/* Yielding a few times catches an answer that is about to come; after that, sleeping leaves the
 * core to others. */
static void pause_between_looks(int looks) {
    if (looks < 200) {
        sched_yield();
        return;
    }
    struct timespec wait = {0, looks < 2000 ? 20000 : 500000};
    nanosleep(&wait, NULL);
}

void *mt_comm_receive(mt_comm *comm, int from, int tag, int *source, int *got_tag, size_t *n) {
    MPI_Status st;
    int here = 0, count = 0;
    for (int looks = 0; !here; looks++) {
        int rc = MPI_Iprobe(from < 0 ? MPI_ANY_SOURCE : from, tag < 0 ? MPI_ANY_TAG : tag,
                            MPI_COMM_WORLD, &here, &st);
        check(comm, rc, "waiting for a message");
        if (!here)
            pause_between_looks(looks);
    }
    MPI_Get_count(&st, MPI_BYTE, &count);
    void *data = malloc(count > 0 ? (size_t)count : 1);
    if (!data) {
        fprintf(stderr, "metatrain: rank %d: out of memory for a message of %d bytes\n", comm->rank,
                count);
        mt_comm_abort(comm, 1);
    }
    check(comm,
          MPI_Recv(data, count, MPI_BYTE, st.MPI_SOURCE, st.MPI_TAG, MPI_COMM_WORLD,
                   MPI_STATUS_IGNORE),
          "receiving a message");
    if (source)
        *source = st.MPI_SOURCE;
    if (got_tag)
        *got_tag = st.MPI_TAG;
    *n = (size_t)count;
    return data;
}
