/* SPDX-License-Identifier: Apache-2.0
 *
 * loopback.c - see loopback.h. */
#include "ranks/loopback.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ranks/messages.h"
#include "rng/rng.h"

#define TICK_SECONDS 2e-4 /* the clock goes by at most that when it is read */
#define JUMP_SECONDS 0.05 /* and by that, once round, where all ranks wait for a message that does not come */

typedef struct delivery {
    struct delivery *next;
    double due;
    mt_message message;
} delivery;

typedef struct virtual_rank {
    mt_transport base;
    mt_loopback *net;
    pthread_t thread;
    sem_t turn;       /* posted once for each turn */
    delivery **inbox; /* [ranks] by sender, in order */
    int64_t sent;
    int ended, is_lost;
} virtual_rank;

struct mt_loopback {
    mt_loopback_plan plan;
    virtual_rank *rank; /* [ranks] */
    int resting;        /* how many times in a row a rank had nothing to do */
    double clock;       /* seconds */

    lopt_rng_stream random;
    int64_t sent_by_tag[MT_N_TAGS];
    mt_rank_main *rank_main;
    void *argument;
};

/* ---- turns ----------------------------------------------------------------------------------- */

/* A rank that has not ended runs next, perhaps the same. All else here is touched by the rank alone whose turn it is. */
static void pass_turn(mt_loopback *net) {
    int left = 0, next = 0;
    for (int r = 0; r < net->plan.ranks; r++) left += !net->rank[r].ended;
    if (left == 0) return;
    int choice = (int)lopt_rng_draw_below(&net->random, (uint64_t)left);
    while (net->rank[next].ended || choice-- > 0) next++;
    sem_post(&net->rank[next].turn);
}

static void await_turn(virtual_rank *v) {
    while (sem_wait(&v->turn) != 0) { /* a signal came */
    }
}

/* ---- the network ----------------------------------------------------------------------------- */

static void *allocate_or_abort(size_t bytes) {
    void *p = calloc(1, bytes);
    if (!p) abort();
    return p;
}

/* Messages of one sender stay in order. */
static void deliver_message(virtual_rank *from, virtual_rank *to, int tag, const void *head, size_t n_head,
                            const void *data, size_t n) {
    mt_loopback *net = from->net;
    double due = net->clock + net->plan.delay * lopt_rng_draw_uniform(&net->random);
    delivery **last = &to->inbox[from->base.rank];
    for (; *last; last = &(*last)->next)
        if ((*last)->due > due) due = (*last)->due;
    delivery *d = allocate_or_abort(sizeof *d);
    *d = (delivery){.due = due, .message = {.from = from->base.rank, .tag = tag, .n = n_head + n}};
    d->message.data = allocate_or_abort(n_head + n);
    memcpy(d->message.data, head, n_head);
    if (n) memcpy((char *)d->message.data + n_head, data, n);
    *last = d;
}

static void loopback_send(mt_transport *base, const int *to, int n_to, int tag, const void *head, size_t n_head,
                          const void *data, size_t n) {
    virtual_rank *v = (virtual_rank *)base;
    const mt_loopback_plan *plan = &v->net->plan;
    for (int i = 0; i < n_to && !v->is_lost; i++) {
        virtual_rank *other = &v->net->rank[to[i]];
        v->sent++;
        v->net->sent_by_tag[tag]++;
        if (!other->is_lost && !other->ended) deliver_message(v, other, tag, head, n_head, data, n);
        if (base->rank != plan->lost_rank || v->sent != plan->last_message) continue;
        if (plan->on_loss) plan->on_loss();
        v->is_lost = 1;
    }
}

static int loopback_take(mt_transport *base, int from, mt_message *message) {
    virtual_rank *v = (virtual_rank *)base;
    mt_loopback *net = v->net;
    int ranks = net->plan.ranks, first = (int)lopt_rng_draw_below(&net->random, (uint64_t)ranks);
    for (int i = 0; i < ranks && !v->is_lost; i++) {
        delivery **at = &v->inbox[(first + i) % ranks], *d = *at;
        if (!d || d->due > net->clock || (from >= 0 && d->message.from != from)) continue;
        *at = d->next;
        *message = d->message;
        free(d);
        net->resting = 0;
        return 1;
    }
    return 0;
}

static void loopback_rest(mt_transport *base, int idle_polls) {
    virtual_rank *v = (virtual_rank *)base;
    (void)idle_polls;
    v->net->clock += ++v->net->resting > 4 * v->net->plan.ranks ? JUMP_SECONDS / v->net->plan.ranks : TICK_SECONDS;
    pass_turn(v->net);
    await_turn(v);
}

static double loopback_now(const mt_transport *base) {
    mt_loopback *net = ((const virtual_rank *)base)->net;
    net->clock += TICK_SECONDS * lopt_rng_draw_uniform(&net->random);
    return net->clock;
}

static int loopback_is_gone(const mt_transport *base, int rank) {
    const mt_loopback *net = ((const virtual_rank *)base)->net;
    return net->plan.sees_deaths && net->rank[rank].is_lost;
}

static void loopback_flush(mt_transport *base, double seconds) {
    (void)base, (void)seconds;
}

static void loopback_give_up(mt_transport *base, int rank) {
    (void)base, (void)rank;
}

/* The memory is the network's. */
static void loopback_end(mt_transport *base, int lost, int status) {
    (void)base, (void)lost, (void)status;
}

static __attribute__((noreturn)) void loopback_abort(mt_transport *base, int status) {
    fprintf(stderr, "metatrain: virtual rank %d aborts with status %d\n", base->rank, status);
    abort();
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void *run_rank(void *self) {
    virtual_rank *v = self;
    await_turn(v);
    v->net->rank_main(v->net->argument, &v->base);
    v->ended = 1;
    pass_turn(v->net);
    return NULL;
}

void mt_run_loopback(mt_loopback *net, mt_rank_main *rank_main, void *argument) {
    net->rank_main = rank_main;
    net->argument = argument;
    for (int r = 0; r < net->plan.ranks; r++)
        if (pthread_create(&net->rank[r].thread, NULL, run_rank, &net->rank[r]) != 0) abort();
    pass_turn(net);
    for (int r = 0; r < net->plan.ranks; r++) pthread_join(net->rank[r].thread, NULL);
}

int64_t mt_count_sent(const mt_loopback *net, int rank) {
    return net->rank[rank].sent;
}

int64_t mt_count_tag(const mt_loopback *net, int tag) {
    return net->sent_by_tag[tag];
}

mt_loopback *mt_loopback_open(const mt_loopback_plan *plan) {
    static const mt_transport_ops ops = {loopback_send,    loopback_take, loopback_give_up,
                                         loopback_flush,   loopback_rest, loopback_now,
                                         loopback_is_gone, loopback_end,  loopback_abort};
    mt_loopback *net = allocate_or_abort(sizeof *net);
    *net = (mt_loopback){.plan = *plan, .clock = 1};
    net->rank = allocate_or_abort((size_t)plan->ranks * sizeof *net->rank);
    lopt_rng_open_stream(&net->random, (lopt_rng_address){plan->seed, LOPT_RNG_TEST, 0, 0, 0});

    for (int r = 0; r < plan->ranks; r++) {
        net->rank[r] = (virtual_rank){.base = {.ops = &ops, .rank = r, .size = plan->ranks}, .net = net};
        net->rank[r].inbox = allocate_or_abort((size_t)plan->ranks * sizeof(delivery *));
        if (sem_init(&net->rank[r].turn, 0, 0) != 0) abort();
    }
    return net;
}

void mt_loopback_close(mt_loopback *net) {
    for (int r = 0; r < net->plan.ranks; r++) {
        for (int from = 0; from < net->plan.ranks; from++)
            for (delivery *d = net->rank[r].inbox[from], *next; d; d = next) {
                next = d->next;
                free(d->message.data);
                free(d);
            }
        free(net->rank[r].inbox);
        sem_destroy(&net->rank[r].turn);
    }
    free(net->rank);
    free(net);
}
