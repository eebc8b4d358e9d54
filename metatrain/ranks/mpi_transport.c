/* SPDX-License-Identifier: Apache-2.0
 *
 * mpi_transport.c - the only caller of MPI. See transport.h.
 *
 * A send to a rank that died never completes, nor does a receive of what it was sending: requests are tested, never
 * waited for. */
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "ranks/transport.h"

/* One buffer on its way to some ranks. */
typedef struct outgoing {
    struct outgoing *next;
    int n_requests;
    MPI_Request *request; /* [n_requests], behind the struct */
    int *to;              /* [n_requests], behind those */
    char *wire;
} outgoing;

typedef struct incoming {
    struct incoming *next;
    MPI_Request request;
    int from, tag, bytes, complete;
    char *wire;
} incoming;

typedef struct mpi_transport {
    mt_transport base;
    int started;        /* MPI was, by us */
    int oversubscribed; /* this host has more ranks than cores: who waits sleeps at once */
    outgoing *out;      /* being sent, oldest first */
    incoming *in;       /* being received, in the order of their arrival */
} mpi_transport;

/* Environment variables that a launcher sets for each rank: Open MPI, MPICH and others over PMI. */
static int has_launcher(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i])) return 1;
    return 0;
}

/* Whether the ranks of this host are more than the cores they may use. */
static int is_oversubscribed(void) {
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    if (!here) here = getenv("MPI_LOCALNRANKS");
    return here && strtol(here, NULL, 10) > sysconf(_SC_NPROCESSORS_ONLN);
}

static void check_mpi(mpi_transport *t, int rc, const char *what) {
    if (rc == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int n = 0;
    MPI_Error_string(rc, text, &n);
    fprintf(stderr, "metatrain: rank %d: %s failed: %.*s\n", t->base.rank, what, n, text);
    mt_abort_ranks(&t->base, MT_FAILED);
}

static void *allocate_wire(mpi_transport *t, size_t bytes) {
    void *p = malloc(bytes);
    if (!p) mt_abort_without_memory(&t->base, "a message");
    return p;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Lets MPI work on what is being sent; forgets what has left. */
static void progress_sends(mpi_transport *t) {
    for (outgoing **at = &t->out; *at;) {
        outgoing *o = *at;
        int left = 0;
        check_mpi(t, MPI_Testall(o->n_requests, o->request, &left, MPI_STATUSES_IGNORE), "sending a message");
        if (left) {
            *at = o->next;
            free(o->wire);
            free(o);
        } else
            at = &o->next;
    }
}

static void mpi_send(mt_transport *base, const int *to, int n_to, int tag, const void *head, size_t n_head,
                     const void *data, size_t n) {
    mpi_transport *t = (mpi_transport *)base;
    if (!t->started) return;
    outgoing *o = allocate_wire(t, sizeof *o + (size_t)n_to * (sizeof(MPI_Request) + sizeof *o->to));
    *o = (outgoing){.n_requests = n_to, .wire = allocate_wire(t, n_head + n)};
    o->request = (MPI_Request *)(o + 1);
    o->to = (int *)(o->request + n_to);
    memcpy(o->to, to, (size_t)n_to * sizeof *to);
    memcpy(o->wire, head, n_head);
    if (n) memcpy(o->wire + n_head, data, n);
    for (int i = 0; i < n_to; i++)
        check_mpi(t, MPI_Isend(o->wire, (int)(n_head + n), MPI_BYTE, to[i], tag, MPI_COMM_WORLD, &o->request[i]),
                  "sending a message");
    outgoing **last = &t->out;
    while (*last) last = &(*last)->next;
    *last = o;
    progress_sends(t);
}

/* MPI may still look at the buffer, which is therefore never freed. */
static void mpi_give_up(mt_transport *base, int rank) {
    mpi_transport *t = (mpi_transport *)base;
    progress_sends(t);
    for (outgoing *o = t->out; o; o = o->next)
        for (int i = 0; i < o->n_requests; i++)
            if (o->to[i] == rank && o->request[i] != MPI_REQUEST_NULL) {
                MPI_Request_free(&o->request[i]);
                o->wire = NULL;
            }
}

static void mpi_flush(mt_transport *base, double seconds) {
    mpi_transport *t = (mpi_transport *)base;
    double end = mt_wall_seconds() + seconds;
    for (int idle = 0; progress_sends(t), t->out && mt_wall_seconds() < end; idle++) mt_rest_transport(base, idle);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Begins to receive every message whose head has come. */
static void progress_receives(mpi_transport *t) {
    incoming **last = &t->in;
    for (; *last; last = &(*last)->next)
        if (!(*last)->complete)
            check_mpi(t, MPI_Test(&(*last)->request, &(*last)->complete, MPI_STATUS_IGNORE), "receiving a message");
    for (;;) {
        MPI_Status st;
        int here = 0;
        check_mpi(t, MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &here, &st), "looking for a message");
        if (!here) return;
        incoming *in = allocate_wire(t, sizeof *in);
        *in = (incoming){.from = st.MPI_SOURCE, .tag = st.MPI_TAG};
        MPI_Get_count(&st, MPI_BYTE, &in->bytes);
        in->wire = allocate_wire(t, (size_t)in->bytes + 1);
        check_mpi(t, MPI_Irecv(in->wire, in->bytes, MPI_BYTE, in->from, in->tag, MPI_COMM_WORLD, &in->request),
                  "receiving a message");
        check_mpi(t, MPI_Test(&in->request, &in->complete, MPI_STATUS_IGNORE), "receiving a message");
        *last = in;
        last = &in->next;
    }
}

/* A message waits for those that came before it from the same rank. */
static int is_next_of_rank(const mpi_transport *t, const incoming *in) {
    for (const incoming *before = t->in; before != in; before = before->next)
        if (before->from == in->from) return 0;
    return in->complete;
}

static int mpi_take(mt_transport *base, int from, mt_message *message) {
    mpi_transport *t = (mpi_transport *)base;
    if (!t->started) return 0;
    if (t->out) progress_sends(t);
    progress_receives(t);
    for (incoming **at = &t->in; *at; at = &(*at)->next) {
        incoming *in = *at;
        if ((from >= 0 && in->from != from) || !is_next_of_rank(t, in)) continue;
        *at = in->next;
        *message = (mt_message){.from = in->from, .tag = in->tag, .n = (size_t)in->bytes, .data = in->wire};
        free(in);
        return 1;
    }
    return 0;
}

/* An answer that is about to come is caught by polling again at once, unless another rank needs the core; after
 * that, naps of a tenth of the time waited so far. */
static void mpi_rest(mt_transport *base, int idle_polls) {
    mpi_transport *t = (mpi_transport *)base;
    if (idle_polls < 50 && !t->oversubscribed) {
        sched_yield();
        return;
    }
    long nanoseconds = 20000L + 2000L * idle_polls;
    struct timespec nap = {0, nanoseconds < 1000000L ? nanoseconds : 1000000L};
    nanosleep(&nap, NULL);
}

static double mpi_now(const mt_transport *base) {
    (void)base;
    return mt_wall_seconds();
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void mpi_close(mt_transport *base, int lost, int status) {
    mpi_transport *t = (mpi_transport *)base;
    if (t->started) {
        mpi_flush(base, lost ? 2 : 60);
        fflush(NULL);
        if (lost && base->rank == 0) MPI_Abort(MPI_COMM_WORLD, 0); /* ends an mpirun that waits for a dead host, too */
        if (lost) _exit(status);
        MPI_Finalize();
    }
    for (outgoing *o = t->out, *next; o; o = next) {
        next = o->next;
        free(o->wire);
        free(o);
    }
    for (incoming *in = t->in, *next; in; in = next) {
        next = in->next;
        free(in->wire);
        free(in);
    }
    free(t);
}

static __attribute__((noreturn)) void mpi_abort(mt_transport *base, int status) {
    if (((mpi_transport *)base)->started) MPI_Abort(MPI_COMM_WORLD, status);
    exit(status);
}

mt_transport *mt_open_mpi(void) {
    static const mt_transport_ops ops = {mpi_send, mpi_take, mpi_give_up, mpi_flush, mpi_rest,
                                         mpi_now,  NULL,     mpi_close,   mpi_abort};
    mpi_transport *t = calloc(1, sizeof *t);
    if (!t) {
        fprintf(stderr, "metatrain: out of memory\n");
        return NULL;
    }
    t->base = (mt_transport){.ops = &ops, .size = 1, .has_processes = 1};
    if (!has_launcher()) return &t->base;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no rank outlives its mpirun or daemon */
    prctl(PR_SET_TIMERSLACK, 1000);   /* ns: naps as short as mpi_rest asks for */
    MPI_Init(NULL, NULL);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &t->base.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &t->base.size);
    t->started = 1;
    t->oversubscribed = is_oversubscribed();
    return &t->base;
}
