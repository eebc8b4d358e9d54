/* SPDX-License-Identifier: Apache-2.0
 *
 * messages.h - every message between ranks: its tag, and what it carries. */
#ifndef MT_MESSAGES_H
#define MT_MESSAGES_H

#include <stdint.h>

#include "ranks/cost_model.h"

typedef enum mt_tag {
    /* rank 0 to each, itself included but for SETUP, EVALUATE, PLAN and END */
    MT_TAG_SETUP = 1, /* step to resume from or -1, folder, configuration */
    MT_TAG_WINDOW,    /* down a tree: mt_window_head, migrations, theta */
    MT_TAG_STEAL,     /* mt_steal: give one of your particles to this rank */
    MT_TAG_EVALUATE,  /* down the tree: theta to be validated */
    MT_TAG_PLAN,      /* down the tree: mt_plan of every particle: compute your share of the gradient */
    MT_TAG_THETA,     /* asynchronous: outer step, its theta */
    MT_TAG_SAVE,      /* mt_save_order: write your shard */
    MT_TAG_RESTART,   /* step, living ranks: ranks were removed, return to that checkpoint */
    MT_TAG_END,       /* exit status, whether ranks were lost */
    /* each to rank 0, rank 0 included but for SLICE */
    MT_TAG_READY,       /* lopt_error, counters of the particles held: after SETUP and RESTART */
    MT_TAG_REPORTS,     /* CPU seconds of this process, reports */
    MT_TAG_THETA_ACK,   /* nothing: THETA came */
    MT_TAG_STEAL_REPLY, /* mt_steal */
    MT_TAG_SCORES,      /* mt_scores: a validation on one task and seed */
    MT_TAG_SLICE,       /* window, gradient and squares of a share */
    MT_TAG_SAVED,       /* lopt_error */
    /* between any two */
    MT_TAG_PARTICLE,  /* its memory */
    MT_TAG_SUMS,      /* to or from rank 0: particle, its noise since the reset in a share */
    MT_TAG_HEARTBEAT, /* membership.h */
    MT_TAG_HEARTBEAT_REPLY,
    MT_N_TAGS
} mt_tag;

typedef struct mt_window_head {
    int64_t window, n_migrations;
    mt_cost_model costs;
} mt_window_head;

typedef struct mt_migration {
    int64_t particle;
    int32_t from, to; /* ranks */
} mt_migration;

typedef struct mt_steal {
    int64_t window, particle; /* -1: none whose migration would pay */
    double asked;             /* when, on the coordinator's clock */
    int32_t to, unused;
} mt_steal;

typedef struct mt_scores {
    int64_t job;      /* validation.h */
    double loss, cpu; /* cpu: seconds it took */
} mt_scores;

typedef struct mt_save_order {
    int64_t step;
    int64_t attempt; /* another number for every save of every job */
} mt_save_order;

#endif
