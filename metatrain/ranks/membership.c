/* SPDX-License-Identifier: Apache-2.0
 *
 * membership.c - see membership.h. */
#include "ranks/membership.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/progress.h"
#include "ranks/messages.h"

#define LOOK_SECONDS 0.1  /* between looks at who is gone */
#define SPEAK_SECONDS 1.0 /* between signs of life */
#define SETUP_SECONDS 600 /* silence allowed before the configuration says how much */
#define FIRST_SECONDS 30  /* before the first word, which comes as soon as MPI has begun everywhere */

/* What a sign of life carries: the process, for those who can see it: on the same host, in the same
 * container. */
typedef struct identity {
    char host[64], space[64];
    int64_t pid;
} identity;

static identity own_identity(void) {
    identity me = {.pid = getpid()};
    gethostname(me.host, sizeof me.host - 1);
    if (readlink("/proc/self/ns/pid", me.space, sizeof me.space - 1) < 0) me.space[0] = 0;
    return me;
}

int mt_crew_open(mt_crew *c, mt_comm *comm, lopt_error *err) {
    size_t n = (size_t)comm->size;
    *c = (mt_crew){.n_live = comm->size,
                   .live = malloc(n * sizeof *c->live),
                   .index = malloc(n * sizeof *c->index),
                   .lost = calloc(n, 1),
                   .heard = malloc(n * sizeof *c->heard),
                   .pid = calloc(n, sizeof *c->pid),
                   .silence = SETUP_SECONDS,
                   .looked = mt_seconds()};
    if (!c->live || !c->index || !c->lost || !c->heard || !c->pid) {
        mt_crew_close(c);
        return mt_error(err, LOPT_ENOMEM, "out of memory for %d ranks", comm->size);
    }
    for (int r = 0; r < comm->size; r++) {
        c->live[r] = c->index[r] = r;
        c->heard[r] = c->looked;
    }
    identity me = own_identity();
    if (comm->rank == 0)
        mt_crew_tell(c, comm, MT_TAG_PONG, &me, sizeof me);
    else
        mt_comm_send(comm, 0, MT_TAG_PING, &me, sizeof me);
    return 1;
}

void mt_crew_close(mt_crew *c) {
    free(c->live);
    free(c->index);
    free(c->lost);
    free(c->heard);
    free(c->pid);
    *c = (mt_crew){0};
}

/* Also a process that has ended but whose parent has not yet asked for its status. */
static int is_gone(const mt_crew *c, int rank) {
    char path[48], text[256] = "", state = 'R';
    if (c->pid[rank] <= 0) return 0;
    if (kill(c->pid[rank], 0) != 0) return errno == ESRCH;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)c->pid[rank]);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    if (fgets(text, sizeof text, f) && strrchr(text, ')')) sscanf(strrchr(text, ')') + 1, " %c", &state);
    fclose(f);
    return state == 'Z' || state == 'X';
}

/* Without rank 0 nothing that this rank does counts. */
static void leave_an_orphan(const mt_crew *c, const mt_comm *comm) {
    if (comm->rank == c->live[c->n_live > 1])
        fprintf(stderr,
                is_gone(c, 0) ? "metatrain: rank %d: the coordinator is gone; the others leave; go "
                                "on with --resume\n"
                              : "metatrain: rank %d: the coordinator has been silent for too long "
                                "(faults.silence); the others leave; go on with --resume\n",
                comm->rank);
    _exit(MT_STOPPED);
}

static void lose(mt_crew *c, int rank, const char *why) {
    fprintf(stderr, "metatrain: rank %d %s\n", rank, why);
    c->lost[rank] = 1;
    c->n_died += is_gone(c, rank);
    c->n_lost++;
    c->ever_lost++;
}

/* scripts/launch ends an mpirun whose rank 0 gives no sign of life. */
static void show_life(void) {
    const char *path = getenv("METATRAIN_OUTCOME");
    if (path) utimensat(AT_FDCWD, path, NULL, 0);
}

void mt_crew_beat(mt_crew *c, mt_comm *comm) {
    double now = mt_seconds(), away = now - c->looked;
    if (comm->size == 1 || away < LOOK_SECONDS) return;
    c->looked = now;
    for (int i = 0; away > SPEAK_SECONDS && i < c->n_live; i++)
        c->heard[c->live[i]] += away; /* nobody listened: that was not their silence */
    if (now - c->spoke > SPEAK_SECONDS) {
        identity me = own_identity();
        if (comm->rank > 0)
            mt_comm_send(comm, 0, MT_TAG_PING, &me, sizeof me);
        else
            show_life();
        c->spoke = now;
    }
    if (comm->rank > 0 && (is_gone(c, 0) || now - c->heard[0] > c->silence)) leave_an_orphan(c, comm);
    for (int i = 1; comm->rank == 0 && i < c->n_live; i++) {
        int rank = c->live[i];
        if (!c->lost[rank] && is_gone(c, rank))
            lose(c, rank, "died");
        else if (!c->lost[rank] && now - c->heard[rank] > (c->pid[rank] == 0 ? FIRST_SECONDS : c->silence))
            lose(c, rank, "has been silent for too long (faults.silence) and is left out");
    }
}

/* A process number means something here only if both count processes alike. */
static void learn(mt_crew *c, const mt_message *m) {
    identity me = own_identity(), it;
    c->pid[m->from] = -1;
    if (m->n != sizeof it) return;
    memcpy(&it, m->data, sizeof it);
    if (me.space[0] && it.pid > 1 && memcmp(it.host, me.host, sizeof me.host) == 0 &&
        memcmp(it.space, me.space, sizeof me.space) == 0)
        c->pid[m->from] = (pid_t)it.pid;
}

int mt_crew_heard(mt_crew *c, mt_comm *comm, mt_message *m) {
    c->heard[m->from] = mt_seconds();
    if (m->tag != MT_TAG_PING && m->tag != MT_TAG_PONG) return 0;
    if (c->pid[m->from] == 0) learn(c, m);
    if (m->tag == MT_TAG_PING) {
        identity me = own_identity();
        mt_comm_send(comm, m->from, MT_TAG_PONG, &me, sizeof me);
    }
    free(m->data);
    return 1;
}

static void number(mt_crew *c) {
    for (int i = 0; i < c->n_live; i++) c->index[c->live[i]] = i;
}

void mt_crew_bury(mt_crew *c) {
    int left = 0;
    for (int i = 0; i < c->n_live; i++) {
        int rank = c->live[i];
        if (c->lost[rank])
            c->index[rank] = -1;
        else
            c->live[left++] = rank;
    }
    c->n_live = left;
    c->n_lost = 0;
    number(c);
}

void mt_crew_set(mt_crew *c, const int32_t *live, int n_live) {
    for (int i = 0; i < c->n_live; i++) c->index[c->live[i]] = -1;
    c->ever_lost += c->n_live - n_live;
    c->n_live = n_live;
    for (int i = 0; i < n_live; i++) c->live[i] = live[i];
    number(c);
}

void mt_crew_pass_to(const mt_crew *c, mt_comm *comm, int places, int tag, const void *data, size_t n) {
    int first = MT_CREW_CHILDREN * c->index[comm->rank] + 1;
    int n_children = places - first < MT_CREW_CHILDREN ? places - first : MT_CREW_CHILDREN;
    if (n_children > 0) mt_comm_send_all(comm, c->live + first, n_children, tag, data, n);
}

void mt_crew_pass_on(const mt_crew *c, mt_comm *comm, int tag, const void *data, size_t n) {
    mt_crew_pass_to(c, comm, c->n_live, tag, data, n);
}

void mt_crew_tell(const mt_crew *c, mt_comm *comm, int tag, const void *data, size_t n) {
    mt_comm_send_all(comm, c->live + 1, c->n_live - 1, tag, data, n);
}
