/* SPDX-License-Identifier: Apache-2.0
 *
 * thread_team.c - see thread_team.h. POSIX threads, so that liblopt needs no run-time library of a compiler and
 * no thread outlives its team. */
#define _POSIX_C_SOURCE 200809L /* NOLINT(bugprone-reserved-identifier): how POSIX has it */
#include "core/thread_team.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct member {
    lopt__team *team;
    int thread;
    pthread_t id;
} member;

struct lopt__team {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    lopt__chunk_function *chunk;
    void *work;
    int64_t n_chunks;
    _Atomic int64_t next;
    fenv_t environment;
    uint64_t round; /* number of the run; a member joins each run at most once */
    int open;       /* members that wake may still join this run */
    int n_busy;     /* members that have joined and are not done */
    int stop;
    int n_members; /* besides the caller */
    member members[];
};

static void run_remaining_chunks(lopt__team *team, int thread) {
    int64_t i;
    while ((i = atomic_fetch_add(&team->next, 1)) < team->n_chunks) team->chunk(team->work, i, thread);
}

static void *run_team_member(void *self) {
    const member *m = self;
    lopt__team *team = m->team;
    uint64_t last = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (!team->stop && (!team->open || team->round == last)) pthread_cond_wait(&team->begin, &team->lock);
        if (team->stop) break;
        last = team->round;
        team->n_busy++;
        pthread_mutex_unlock(&team->lock);
        fesetenv(&team->environment);
        run_remaining_chunks(team, m->thread);
        pthread_mutex_lock(&team->lock);
        if (--team->n_busy == 0) pthread_cond_signal(&team->end);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

/* Members block all signals: the program's own threads handle them. */
static int start_team_member(member *m, lopt__team *team, int thread) {
    sigset_t all, before;
    *m = (member){.team = team, .thread = thread};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int ok = pthread_create(&m->id, NULL, run_team_member, m) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

lopt__team *lopt__team_create(int n_threads) {
    lopt__team *team = calloc(1, sizeof *team + (size_t)(n_threads - 1) * sizeof(member));
    if (!team) return NULL;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->begin, NULL);
    pthread_cond_init(&team->end, NULL);
    for (; team->n_members < n_threads - 1; team->n_members++)
        if (!start_team_member(&team->members[team->n_members], team, team->n_members + 1)) {
            lopt__team_destroy(team);
            return NULL;
        }
    return team;
}

void lopt__team_destroy(lopt__team *team) {
    if (!team) return;
    pthread_mutex_lock(&team->lock);
    team->stop = 1;
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->n_members; i++) pthread_join(team->members[i].id, NULL);
    pthread_cond_destroy(&team->end);
    pthread_cond_destroy(&team->begin);
    pthread_mutex_destroy(&team->lock);
    free(team);
}

/* A member that wakes after the last chunk was taken is not waited for. */
static void run_chunks_together(lopt__team *team) {
    fegetenv(&team->environment);
    pthread_mutex_lock(&team->lock);
    atomic_store(&team->next, 0);
    team->round++;
    team->open = 1;
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
    run_remaining_chunks(team, 0);
    pthread_mutex_lock(&team->lock);
    team->open = 0;
    while (team->n_busy) pthread_cond_wait(&team->end, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

void lopt__team_run_chunks(lopt__team *team, int64_t n_chunks, lopt__chunk_function *chunk, void *work) {
    if (!team || n_chunks == 1) {
        for (int64_t i = 0; i < n_chunks; i++) chunk(work, i, 0);
        return;
    }
    team->chunk = chunk;
    team->work = work;
    team->n_chunks = n_chunks;
    run_chunks_together(team);
}
