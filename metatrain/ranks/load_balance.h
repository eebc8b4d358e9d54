/* SPDX-License-Identifier: Apache-2.0
 *
 * load_balance.h - which rank runs which particle, from predicted costs. No messages, no clocks: training
 * and `metatrain simulate` decide by the same functions.
 *
 *     mt_assign_particles(cost, owner, n, ranks, first, move, placed)   before a window: who begins with what
 *     mt_board_start(&b, cost, placed, n, move)          during it: rank 0's view of who is how far
 *       mt_board_reported(&b, rank, cost)                a particle is done
 *       mt_board_match(&b, &thief, &victim)              who should give one to an idle rank
 *       mt_choose_migration(cost, n, running, move)                  the victim chooses which, or none
 *       mt_board_migrated(&b, from, to, cost)                its answer
 *
 * Costs are seconds; move is what it takes to move one particle. Measured costs say where a particle
 * runs, never what it computes. Ranks are numbered 0..ranks-1 without gaps here. */
#ifndef MT_LOAD_BALANCE_H
#define MT_LOAD_BALANCE_H

#include <stdint.h>

/* Ranks 0..n-1 by a number each, the largest on top. */
typedef struct mt_heap {
    int n, *at, *where; /* at: heap of ranks; where: their places in it */
    double *key;        /* [n], by rank */
} mt_heap;

int mt_heap_open(mt_heap *h, int n); /* all keys 0; 0: out of memory */
void mt_heap_close(mt_heap *h);
void mt_heap_set(mt_heap *h, int rank, double key);
static inline int mt_heap_top(const mt_heap *h) {
    return h->at[0];
}

/* Longest first to the least loaded rank, but a particle stays where it is as long as that rank then
 * ends no later than such a placement would; nothing moves unless the last rank gains more than `move`.
 * owner[i] < 0: nowhere yet. first: seconds that rank 0 is busy with the reports of the others, on top of
 * its own particles. Fills placed[n]; returns how many change their rank, -1: out of memory. */
int64_t mt_assign_particles(const double *cost, const int *owner, int64_t n, int ranks, double first, double move,
                            int *placed);

/* Which of n particles not yet begun to give to an idle rank, so that both end soonest; -1 if that
 * would not pay. running: seconds that the one in hand still takes. */
int64_t mt_choose_migration(const double *cost, int64_t n, double running, double move);

typedef struct mt_load_board {
    int ranks;
    int64_t *left; /* [ranks] particles not reported */
    double *load;  /* [ranks] predicted seconds of these */
    double move;
    mt_heap heap;      /* load, or 0 where nothing is to be had */
    int n_idle, *idle; /* ranks that have nothing left */
} mt_load_board;

int mt_board_open(mt_load_board *b, int ranks); /* 0: out of memory */
void mt_board_close(mt_load_board *b);
void mt_board_start(mt_load_board *b, const double *cost, const int *placed, int64_t n, double move);
void mt_board_reported(mt_load_board *b, int rank, double cost);
/* 1 and a rank with nothing left and one to ask for a particle, which is not asked by two at a time;
 * 0: there are no such two. */
int mt_board_match(mt_load_board *b, int *thief, int *victim);
/* Its answer, which may come after the report of what was given. */
void mt_board_migrated(mt_load_board *b, int from, int to, double cost);
void mt_board_refused(mt_load_board *b, int to);

#endif
