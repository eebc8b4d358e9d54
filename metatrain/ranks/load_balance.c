/* SPDX-License-Identifier: Apache-2.0
 *
 * load_balance.c - see load_balance.h. Longest first: Graham 1969; within 4/3 of the best. */
#include "ranks/load_balance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- a heap of ranks ------------------------------------------------------------------------- */

int mt_heap_open(mt_heap *h, int n) {
    *h = (mt_heap){.n = n,
                   .at = calloc((size_t)n, sizeof *h->at),
                   .where = calloc((size_t)n, sizeof *h->where),
                   .key = calloc((size_t)n, sizeof *h->key)};
    if (!h->at || !h->where || !h->key) {
        mt_heap_close(h);
        return 0;
    }
    for (int i = 0; i < n; i++) h->at[i] = h->where[i] = i;
    return 1;
}

void mt_heap_close(mt_heap *h) {
    free(h->at);
    free(h->where);
    free(h->key);
    *h = (mt_heap){0};
}

/* Equal keys: the lower rank first, so that what is decided does not depend on the past. */
static int is_above(const mt_heap *h, int a, int b) {
    return h->key[a] > h->key[b] || (h->key[a] == h->key[b] && a < b);
}

static void put_in_heap(mt_heap *h, int place, int rank) {
    h->at[place] = rank;
    h->where[rank] = place;
}

void mt_heap_set(mt_heap *h, int rank, double key) {
    int place = h->where[rank];
    h->key[rank] = key;
    for (int up; place > 0 && is_above(h, rank, h->at[up = (place - 1) / 2]); place = up)
        put_in_heap(h, place, h->at[up]);
    for (int down; (down = 2 * place + 1) < h->n; place = down) {
        if (down + 1 < h->n && is_above(h, h->at[down + 1], h->at[down])) down++;
        if (!is_above(h, h->at[down], rank)) break;
        put_in_heap(h, place, h->at[down]);
    }
    put_in_heap(h, place, rank);
}

/* ---- before a window ------------------------------------------------------------------------- */

typedef struct item {
    double cost;
    int64_t number;
} item;

static int longest_first(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->cost != y->cost) return x->cost < y->cost ? 1 : -1;
    return (x->number > y->number) - (x->number < y->number);
}

static double add_load(mt_heap *load, int rank, double cost) {
    mt_heap_set(load, rank, load->key[rank] - cost);
    return -load->key[rank];
}

/* First whoever may stay with its owner below cap, then the others on the least loaded rank; both
 * longest first. load: a heap of negated loads. Returns the largest load. */
static double pack_ranks(const item *items, const int *owner, int64_t n, double cap, double first, mt_heap *load,
                         int *placed) {
    double most = first;
    for (int r = 0; r < load->n; r++) mt_heap_set(load, r, r ? 0 : -first);
    for (int64_t i = 0; i < n; i++) {
        int64_t p = items[i].number;
        int stays = owner[p] >= 0 && items[i].cost - load->key[owner[p]] <= cap;
        placed[p] = stays ? owner[p] : -1;
        if (stays) most = fmax(most, add_load(load, owner[p], items[i].cost));
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t p = items[i].number;
        if (placed[p] >= 0) continue;
        placed[p] = mt_heap_top(load);
        most = fmax(most, add_load(load, placed[p], items[i].cost));
    }
    return most;
}

/* The largest load as things are, infinite where a particle has no rank yet; *mean: of all ranks. */
static double present_load(const double *cost, const int *owner, int64_t n, double first, mt_heap *load, double *mean) {
    double most = first;
    *mean = first / load->n;
    mt_heap_set(load, 0, -first);
    for (int64_t p = 0; p < n; p++) {
        *mean += cost[p] / load->n;
        if (owner[p] < 0) return INFINITY;
        most = fmax(most, add_load(load, owner[p], cost[p]));
    }
    return most;
}

static int64_t reassign_particles(const double *cost, const int *owner, int64_t n, double first, double move,
                                  double now, mt_heap *load, int *placed) {
    int64_t moves = 0;
    item *items = malloc(((size_t)n + 1) * sizeof *items);
    if (!items) return -1;
    for (int64_t p = 0; p < n; p++) items[p] = (item){cost[p], p};
    qsort(items, (size_t)n, sizeof *items, longest_first);
    double best = pack_ranks(items, owner, n, -1, first, load, placed);
    double most = pack_ranks(items, owner, n, best + move, first, load, placed);
    if (!(most + move < now)) memcpy(placed, owner, (size_t)n * sizeof *placed);
    for (int64_t p = 0; p < n; p++) moves += placed[p] != owner[p];
    free(items);
    return moves;
}

int64_t mt_assign_particles(const double *cost, const int *owner, int64_t n, int ranks, double first, double move,
                            int *placed) {
    mt_heap load;
    double mean;
    int64_t moves = 0;
    if (!mt_heap_open(&load, ranks)) return -1;
    double now = present_load(cost, owner, n, first, &load, &mean);
    if (now <= mean + 2 * move)
        memcpy(placed, owner, (size_t)n * sizeof *placed);
    else
        moves = reassign_particles(cost, owner, n, first, move, now, &load, placed);
    mt_heap_close(&load);
    return moves;
}

/* ---- during a window ------------------------------------------------------------------------- */

int64_t mt_choose_migration(const double *cost, int64_t n, double running, double move) {
    double all = running, best;
    int64_t which = -1;
    for (int64_t i = 0; i < n; i++) all += cost[i];
    best = all - move; /* a gain below this is not worth the messages */
    for (int64_t i = 0; i < n; i++) {
        double end = fmax(all - cost[i], move + cost[i]);
        if (end < best) {
            best = end;
            which = i;
        }
    }
    return which;
}

int mt_board_open(mt_load_board *b, int ranks) {
    *b = (mt_load_board){.ranks = ranks,
                         .left = calloc((size_t)ranks, sizeof *b->left),
                         .load = calloc((size_t)ranks, sizeof *b->load),
                         .idle = calloc((size_t)ranks, sizeof *b->idle)};
    if (mt_heap_open(&b->heap, ranks) && b->left && b->load && b->idle) return 1;
    mt_board_close(b);
    return 0;
}

void mt_board_close(mt_load_board *b) {
    free(b->left);
    free(b->load);
    free(b->idle);
    mt_heap_close(&b->heap);
    *b = (mt_load_board){0};
}

/* A rank with one particle left is running it: nothing is to be had there. */
static void show_load(mt_load_board *b, int rank) {
    int rich = b->left[rank] > 1 && b->load[rank] > 2 * b->move;
    mt_heap_set(&b->heap, rank, rich ? b->load[rank] : 0);
}

void mt_board_start(mt_load_board *b, const double *cost, const int *placed, int64_t n, double move) {
    memset(b->left, 0, (size_t)b->ranks * sizeof *b->left);
    memset(b->load, 0, (size_t)b->ranks * sizeof *b->load);
    b->move = move;
    b->n_idle = 0;
    for (int64_t p = 0; p < n; p++) {
        b->left[placed[p]]++;
        b->load[placed[p]] += cost[p];
    }
    for (int r = 0; r < b->ranks; r++) {
        show_load(b, r);
        if (b->left[r] == 0) b->idle[b->n_idle++] = r;
    }
}

void mt_board_reported(mt_load_board *b, int rank, double cost) {
    b->left[rank]--;
    b->load[rank] = fmax(b->load[rank] - cost, 0);
    if (b->heap.key[rank] > 0) show_load(b, rank);
    if (b->left[rank] == 0) b->idle[b->n_idle++] = rank;
}

int mt_board_match(mt_load_board *b, int *thief, int *victim) {
    *victim = mt_heap_top(&b->heap);
    if (b->n_idle == 0 || b->heap.key[*victim] <= 0) return 0;
    *thief = b->idle[--b->n_idle];
    mt_heap_set(&b->heap, *victim, 0); /* until it has answered */
    return 1;
}

/* The thief may have reported it already: then it has nothing left again. */
void mt_board_migrated(mt_load_board *b, int from, int to, double cost) {
    b->left[from]--;
    b->left[to]++;
    b->load[from] = fmax(b->load[from] - cost, 0);
    if (b->left[to] > 0)
        b->load[to] += cost;
    else
        b->idle[b->n_idle++] = to;
    show_load(b, from);
    if (b->left[from] == 0) b->idle[b->n_idle++] = from;
}

/* Who refused stays out of the heap: it only has less to give later. */
void mt_board_refused(mt_load_board *b, int to) {
    b->idle[b->n_idle++] = to;
}
