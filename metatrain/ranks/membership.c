/* SPDX-License-Identifier: Apache-2.0
 *
 * membership.c - see membership.h. */
#include "ranks/membership.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "ranks/messages.h"

#define CHECK_SECONDS 0.1 /* between checks of who is gone */
#define HEARTBEAT_SECONDS 1.0
#define SETUP_SECONDS 600 /* timeout before the configuration says one */
#define FIRST_SECONDS 30  /* for the first heartbeat, which comes as soon as MPI has begun everywhere */

/* What a heartbeat carries: the process, for those who can see it: on the same host, in the same container. */
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

int mt_membership_open(mt_membership *m, mt_transport *t, lopt_error *err) {
    size_t n = (size_t)t->size;
    *m = (mt_membership){.transport = t,
                         .n_live = t->size,
                         .live = malloc(n * sizeof *m->live),
                         .index = malloc(n * sizeof *m->index),
                         .failed = calloc(n, 1),
                         .last_heartbeat = malloc(n * sizeof *m->last_heartbeat),
                         .pid = calloc(n, sizeof *m->pid),
                         .timeout = SETUP_SECONDS,
                         .checked = mt_transport_seconds(t)};
    if (!m->live || !m->index || !m->failed || !m->last_heartbeat || !m->pid) {
        mt_membership_close(m);
        return mt_error(err, LOPT_ENOMEM, "out of memory for %d ranks", t->size);
    }
    for (int r = 0; r < t->size; r++) {
        m->live[r] = m->index[r] = r;
        m->last_heartbeat[r] = m->checked;
    }
    identity me = own_identity();
    if (t->rank == 0)
        mt_send_to_all(t, m->live + 1, m->n_live - 1, MT_TAG_HEARTBEAT_REPLY, &me, sizeof me);
    else
        mt_send_message(t, 0, MT_TAG_HEARTBEAT, &me, sizeof me);
    return 1;
}

void mt_membership_close(mt_membership *m) {
    free(m->live);
    free(m->index);
    free(m->failed);
    free(m->last_heartbeat);
    free(m->pid);
    *m = (mt_membership){0};
}

/* Also a process that has ended but whose parent has not yet asked for its status. */
static int is_gone(const mt_membership *m, int rank) {
    char path[48], text[256] = "", state = 'R';
    const mt_transport *t = m->transport;
    if (t->ops->is_gone && t->ops->is_gone(t, rank)) return 1;
    if (m->pid[rank] <= 0) return 0;
    if (kill(m->pid[rank], 0) != 0) return errno == ESRCH;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)m->pid[rank]);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    if (fgets(text, sizeof text, f) && strrchr(text, ')')) sscanf(strrchr(text, ')') + 1, " %c", &state);
    fclose(f);
    return state == 'Z' || state == 'X';
}

/* Workers leave when the coordinator is lost: nothing that they do counts. One of them says so. */
static void note_lost_coordinator(mt_membership *m) {
    int rank = m->transport->rank;
    m->coordinator_failed = 1;
    m->ever_failed++;
    if (rank == m->live[m->n_live > 1])
        fprintf(stderr, "metatrain: rank %d: %s; the others leave; go on with --resume\n", rank,
                is_gone(m, 0) ? "the coordinator is gone" : "the coordinator's heartbeat timed out (faults.silence)");
}

static void note_failure(mt_membership *m, int rank, const char *why) {
    fprintf(stderr, "metatrain: rank %d %s\n", rank, why);
    m->failed[rank] = 1;
    m->n_died += is_gone(m, rank);
    m->n_failed++;
    m->ever_failed++;
}

/* scripts/launch ends an mpirun whose rank 0 does not touch this file. */
static void touch_outcome(void) {
    const char *path = getenv("METATRAIN_OUTCOME");
    if (path) utimensat(AT_FDCWD, path, NULL, 0);
}

static void send_heartbeat(mt_membership *m) {
    identity me = own_identity();
    if (m->transport->rank > 0)
        mt_send_message(m->transport, 0, MT_TAG_HEARTBEAT, &me, sizeof me);
    else
        touch_outcome();
}

static void find_failures(mt_membership *m, double now) {
    for (int i = 1; i < m->n_live; i++) {
        int rank = m->live[i];
        double silence = now - m->last_heartbeat[rank];
        if (m->failed[rank]) continue;
        if (is_gone(m, rank))
            note_failure(m, rank, "died");
        else if (silence > (m->pid[rank] == 0 ? FIRST_SECONDS : m->timeout))
            note_failure(m, rank, "timed out (no heartbeat, faults.silence) and is removed");
    }
}

void mt_send_heartbeats(mt_membership *m) {
    double now = mt_transport_seconds(m->transport), away = now - m->checked;
    if (m->transport->size == 1 || away < CHECK_SECONDS) return;
    m->checked = now;
    /* This rank did not poll: the others' heartbeats may lie unread. */
    for (int i = 0; away > HEARTBEAT_SECONDS && i < m->n_live; i++) m->last_heartbeat[m->live[i]] += away;
    if (now - m->sent > HEARTBEAT_SECONDS) {
        send_heartbeat(m);
        m->sent = now;
    }
    if (m->transport->rank == 0)
        find_failures(m, now);
    else if (!m->coordinator_failed && (is_gone(m, 0) || now - m->last_heartbeat[0] > m->timeout))
        note_lost_coordinator(m);
}

/* A process number means something here only if both count processes alike. */
static void learn_process(mt_membership *m, const mt_message *message) {
    identity me = own_identity(), it;
    m->pid[message->from] = -1;
    if (message->n != sizeof it || !m->transport->has_processes) return;
    memcpy(&it, message->data, sizeof it);
    if (me.space[0] && it.pid > 1 && memcmp(it.host, me.host, sizeof me.host) == 0 &&
        memcmp(it.space, me.space, sizeof me.space) == 0)
        m->pid[message->from] = (pid_t)it.pid;
}

int mt_take_heartbeat(mt_membership *m, mt_message *message) {
    m->last_heartbeat[message->from] = mt_transport_seconds(m->transport);
    if (message->tag != MT_TAG_HEARTBEAT && message->tag != MT_TAG_HEARTBEAT_REPLY) return 0;
    if (m->pid[message->from] == 0) learn_process(m, message);
    if (message->tag == MT_TAG_HEARTBEAT) {
        identity me = own_identity();
        mt_send_message(m->transport, message->from, MT_TAG_HEARTBEAT_REPLY, &me, sizeof me);
    }
    free(message->data);
    return 1;
}

static void index_members(mt_membership *m) {
    for (int i = 0; i < m->n_live; i++) m->index[m->live[i]] = i;
}

void mt_remove_failed(mt_membership *m) {
    int left = 0;
    for (int i = 0; i < m->n_live; i++) {
        int rank = m->live[i];
        if (m->failed[rank])
            m->index[rank] = -1;
        else
            m->live[left++] = rank;
    }
    m->n_live = left;
    m->n_failed = m->n_died = 0;
    index_members(m);
}

void mt_set_members(mt_membership *m, const int32_t *live, int n_live) {
    for (int i = 0; i < m->n_live; i++) m->index[m->live[i]] = -1;
    m->ever_failed += m->n_live - n_live;
    m->n_live = n_live;
    for (int i = 0; i < n_live; i++) m->live[i] = live[i];
    index_members(m);
}

int mt_own_index(const mt_membership *m) {
    return m->index[m->transport->rank];
}

int mt_list_children(const mt_membership *m, int places, int children[MT_TREE_CHILDREN]) {
    int n = 0, first = MT_TREE_CHILDREN * mt_own_index(m) + 1;
    for (int i = first; i < places && n < MT_TREE_CHILDREN; i++) children[n++] = m->live[i];
    return n;
}
