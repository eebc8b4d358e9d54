/* SPDX-License-Identifier: Apache-2.0
 *
 * transport.c - see transport.h. */
#include "ranks/transport.h"
#include "base/clock.h"

#include <limits.h>
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/progress.h"

/* What a message begins with on the wire. */
typedef struct envelope {
    int64_t epoch;
} envelope;

/* One buffer on its way to some ranks. */
struct mt_out {
    struct mt_out *next;
    int n_requests;
    MPI_Request *request; /* [n_requests], behind the struct */
    int *to;              /* [n_requests], behind those */
    char *wire;
};

struct mt_in {
    struct mt_in *next;
    MPI_Request request;
    int from, tag, bytes, complete;
    char *wire;
};

/* Environment variables that a launcher sets for each rank: Open MPI, MPICH and others over PMI. */
static int launched(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i])) return 1;
    return 0;
}

static void check(mt_comm *comm, int rc, const char *what) {
    if (rc == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int n = 0;
    MPI_Error_string(rc, text, &n);
    fprintf(stderr, "metatrain: rank %d: %s failed: %.*s\n", comm->rank, what, n, text);
    mt_comm_abort(comm, 1);
}

static void *memory(mt_comm *comm, size_t bytes) {
    void *p = malloc(bytes);
    if (!p) {
        fprintf(stderr, "metatrain: rank %d: out of memory for a message of %zu bytes\n", comm->rank, bytes);
        mt_comm_abort(comm, 1);
    }
    return p;
}

/* Whether the ranks of this host are more than the cores they may use. */
static int is_crowded(void) {
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    if (!here) here = getenv("MPI_LOCALNRANKS");
    return here && strtol(here, NULL, 10) > sysconf(_SC_NPROCESSORS_ONLN);
}

void mt_comm_open(mt_comm *comm) {
    *comm = (mt_comm){.size = 1};
    if (!launched()) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no rank outlives its mpirun or daemon */
    prctl(PR_SET_TIMERSLACK, 1000);   /* ns: naps as short as mt_comm_rest asks for */
    MPI_Init(NULL, NULL);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &comm->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &comm->size);
    comm->mpi = 1;
    comm->crowded = is_crowded();
}

static void free_out(mt_comm *comm) {
    while (comm->out) {
        struct mt_out *o = comm->out;
        comm->out = o->next;
        free(o->wire);
        free(o);
    }
}

void mt_comm_close(mt_comm *comm, int lost, int status) {
    if (!comm->mpi) return;
    mt_comm_flush(comm, lost ? 2 : 60);
    fflush(NULL);
    if (lost && comm->rank == 0) MPI_Abort(MPI_COMM_WORLD, 0); /* ends an mpirun that waits for a dead host, too */
    if (lost) _exit(status);
    MPI_Finalize();
    free_out(comm);
    comm->mpi = 0;
}

void mt_comm_abort(mt_comm *comm, int status) {
    if (comm->mpi) MPI_Abort(MPI_COMM_WORLD, status);
    exit(status);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Lets MPI work on what is being sent; forgets what has left. */
static void progress_out(mt_comm *comm) {
    for (struct mt_out **at = &comm->out; *at;) {
        struct mt_out *o = *at;
        int left = 0;
        check(comm, MPI_Testall(o->n_requests, o->request, &left, MPI_STATUSES_IGNORE), "sending a message");
        if (left) {
            *at = o->next;
            free(o->wire);
            free(o);
        } else
            at = &o->next;
    }
}

void mt_comm_send_all(mt_comm *comm, const int *to, int n_to, int tag, const void *data, size_t n) {
    envelope head = {comm->epoch};
    size_t bytes = sizeof head + n;
    if (n_to == 0) return;
    if (bytes > INT_MAX) {
        fprintf(stderr, "metatrain: a message of %zu bytes is too long for MPI\n", n);
        mt_comm_abort(comm, 1);
    }
    struct mt_out *o = memory(comm, sizeof *o + (size_t)n_to * (sizeof(MPI_Request) + sizeof *o->to));
    *o = (struct mt_out){.n_requests = n_to, .wire = memory(comm, bytes)};
    o->request = (MPI_Request *)(o + 1);
    o->to = (int *)(o->request + n_to);
    memcpy(o->to, to, (size_t)n_to * sizeof *to);
    memcpy(o->wire, &head, sizeof head);
    if (n) memcpy(o->wire + sizeof head, data, n);
    for (int i = 0; i < n_to; i++)
        check(comm, MPI_Isend(o->wire, (int)bytes, MPI_BYTE, to[i], tag, MPI_COMM_WORLD, &o->request[i]),
              "sending a message");
    comm->bytes_sent += bytes * (size_t)n_to;
    struct mt_out **last = &comm->out;
    while (*last) last = &(*last)->next;
    *last = o;
    progress_out(comm);
}

void mt_comm_send(mt_comm *comm, int to, int tag, const void *data, size_t n) {
    mt_comm_send_all(comm, &to, 1, tag, data, n);
}

/* MPI may still look at the buffer, which is therefore never freed. */
void mt_comm_give_up(mt_comm *comm, int rank) {
    progress_out(comm);
    for (struct mt_out *o = comm->out; o; o = o->next)
        for (int i = 0; i < o->n_requests; i++)
            if (o->to[i] == rank && o->request[i] != MPI_REQUEST_NULL) {
                MPI_Request_free(&o->request[i]);
                o->wire = NULL;
            }
}

void mt_comm_flush(mt_comm *comm, double seconds) {
    double end = mt_seconds() + seconds;
    for (int looks = 0; progress_out(comm), comm->out && mt_seconds() < end; looks++) mt_comm_rest(comm, looks);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Begins to receive every message whose head has come. */
static void progress_in(mt_comm *comm) {
    struct mt_in **last = &comm->in;
    for (; *last; last = &(*last)->next)
        if (!(*last)->complete)
            check(comm, MPI_Test(&(*last)->request, &(*last)->complete, MPI_STATUS_IGNORE), "receiving a message");
    for (;;) {
        MPI_Status st;
        int here = 0;
        check(comm, MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &here, &st), "looking for a message");
        if (!here) return;
        struct mt_in *in = memory(comm, sizeof *in);
        *in = (struct mt_in){.from = st.MPI_SOURCE, .tag = st.MPI_TAG};
        MPI_Get_count(&st, MPI_BYTE, &in->bytes);
        in->wire = memory(comm, (size_t)in->bytes + 1);
        check(comm, MPI_Irecv(in->wire, in->bytes, MPI_BYTE, in->from, in->tag, MPI_COMM_WORLD, &in->request),
              "receiving a message");
        check(comm, MPI_Test(&in->request, &in->complete, MPI_STATUS_IGNORE), "receiving a message");
        *last = in;
        last = &in->next;
    }
}

/* A message waits for those that came before it from the same rank. */
static int may_go(const mt_comm *comm, const struct mt_in *in) {
    for (const struct mt_in *before = comm->in; before != in; before = before->next)
        if (before->from == in->from) return 0;
    return in->complete;
}

/* from: -1 for any rank. */
static int take_from(mt_comm *comm, int from, mt_message *message) {
    if (!comm->mpi) return 0;
    if (comm->out) progress_out(comm);
    progress_in(comm);
    for (struct mt_in **at = &comm->in; *at;) {
        struct mt_in *in = *at;
        envelope head = {0};
        if ((from >= 0 && in->from != from) || !may_go(comm, in)) {
            at = &in->next;
            continue;
        }
        *at = in->next;
        if (in->bytes >= (int)sizeof head) memcpy(&head, in->wire, sizeof head);
        *message = (mt_message){.from = in->from,
                                .tag = in->tag,
                                .epoch = head.epoch,
                                .n = (size_t)in->bytes - sizeof head,
                                .data = in->wire};
        free(in);
        if (message->epoch >= comm->epoch && message->n <= INT_MAX) {
            memmove(message->data, (char *)message->data + sizeof head, message->n);
            return 1;
        }
        free(message->data);
    }
    return 0;
}

int mt_comm_take(mt_comm *comm, mt_message *message) {
    return take_from(comm, -1, message);
}

void *mt_comm_receive(mt_comm *comm, int from, int tag, size_t *n) {
    mt_message m;
    for (int looks = 0; !take_from(comm, from, &m); looks++) mt_comm_rest(comm, looks);
    if (m.tag != tag) {
        fprintf(stderr, "metatrain: rank %d: message %d from rank %d, expected %d\n", comm->rank, m.tag, from, tag);
        mt_comm_abort(comm, 1);
    }
    *n = m.n;
    return m.data;
}

/* An answer that is about to come is caught by looking again at once, unless another rank needs the
 * core; after that, naps of a tenth of the time waited so far. */
void mt_comm_rest(const mt_comm *comm, int looks) {
    if (looks < 50 && !comm->crowded) {
        sched_yield();
        return;
    }
    long nanoseconds = 20000L + 2000L * looks;
    struct timespec nap = {0, nanoseconds < 1000000L ? nanoseconds : 1000000L};
    nanosleep(&nap, NULL);
}
