/* SPDX-License-Identifier: Apache-2.0
 *
 * simulation.c - see simulation.h.
 *
 * Ranks that share cores all run at the same share of a core, so what they do is timed on a clock that
 * slows down with them: `clock` counts core seconds of one rank, `now` those of the wall. */
#include "simulate/simulation.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "es/outer_optimizer.h"
#include "es/schedules.h"
#include "es/unroll.h"
#include "ranks/load_balance.h"
#include "ranks/membership.h"

#define NEVER (-1e300) /* key of a rank that runs nothing */

typedef struct model {
    const mt_simulation *how;
    mt_particle_counters *at; /* [particles] */
    double *cost, *real;      /* [particles] predicted, and what the window takes */
    int *owner, *placed;
    int64_t *order, *next, *hand; /* particles, longest first; lists of those to do; [workers] running */
    int64_t *first;               /* [workers] heads of the lists; -1 ends one */
    double *given;                /* [particles] scratch of giving */
    mt_heap ends;                 /* of the windows in hand, on `clock`, negated */
    mt_load_board board;
    double now, clock, desk; /* desk: when rank 0 will have taken all that came */
    int busy;
    int64_t missing;
    mt_simulated *result;
} model;

/* ---- set-up ---------------------------------------------------------------------------------- */

static void close_model(model *m) {
    free(m->at);
    free(m->cost);
    free(m->real);
    free(m->owner);
    free(m->placed);
    free(m->order);
    free(m->next);
    free(m->hand);
    free(m->first);
    free(m->given);
    mt_heap_close(&m->ends);
    mt_board_close(&m->board);
}

static int open_model(model *m, const mt_simulation *how, mt_simulated *result, lopt_error *err) {
    size_t n = (size_t)how->particles, workers = (size_t)how->workers;
    *m = (model){.how = how,
                 .result = result,
                 .at = calloc(n, sizeof *m->at),
                 .cost = calloc(n, sizeof *m->cost),
                 .real = calloc(n, sizeof *m->real),
                 .owner = calloc(n, sizeof *m->owner),
                 .placed = calloc(n, sizeof *m->placed),
                 .order = calloc(n, sizeof *m->order),
                 .next = calloc(n, sizeof *m->next),
                 .hand = calloc(workers, sizeof *m->hand),
                 .first = calloc(workers, sizeof *m->first),
                 .given = calloc(n, sizeof *m->given)};
    if (!m->at || !m->cost || !m->real || !m->owner || !m->placed || !m->order || !m->next || !m->hand || !m->first ||
        !m->given || !mt_heap_open(&m->ends, how->workers) || !mt_board_open(&m->board, how->workers)) {
        close_model(m);
        return mt_error(err, LOPT_ENOMEM, "out of memory for %lld particles on %d ranks", (long long)how->particles,
                        how->workers);
    }
    for (int64_t p = 0; p < how->particles; p++) {
        m->at[p] = (mt_particle_counters){.number = p, .trajectory = -1};
        m->owner[p] = (int)(p % how->workers);
    }
    return 1;
}

/* ---- particles ------------------------------------------------------------------------------- */

static lopt_rng_stream open_structure_stream(const mt_config *cfg, lopt_rng_purpose purpose, int64_t p, int64_t at) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){cfg->seed, purpose, (uint64_t)p, (uint64_t)at, 0});
    return r;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* On the wall, what takes core seconds of each rank takes longer where they share cores. */
static double core_share(const mt_simulation *how, int busy) {
    double free = 1 - how->measured.overhead_fraction; /* of messages and waiting */
    return busy > how->cores ? free * how->cores / busy : 1;
}

static double core_share_now(const model *m) {
    return core_share(m->how, m->busy);
}

static void begin_particle(model *m, int rank, int64_t p, double after) {
    m->busy += m->ends.key[rank] == NEVER;
    m->hand[rank] = p;
    mt_heap_set(&m->ends, rank, -(m->clock + after + m->real[p]));
}

static void begin_next(model *m, int rank, double after) {
    int64_t p = m->first[rank];
    if (p >= 0) {
        m->first[rank] = m->next[p];
        begin_particle(m, rank, p, after);
    } else if (m->ends.key[rank] != NEVER) {
        mt_heap_set(&m->ends, rank, NEVER);
        m->busy--;
    }
}

/* Rank 0 takes a message: others queue, and what it has in hand ends later. */
static void take_message(model *m, int from) {
    if (from == 0) return;
    m->desk = fmax(m->desk, m->now + m->how->latency) + m->how->measured.message / core_share_now(m);
    if (m->ends.key[0] != NEVER) mt_heap_set(&m->ends, 0, m->ends.key[0] - m->how->measured.message);
}

/* What the victim decides (particle_queue.c: choose_particle); the particle taken out of its list, or -1. */
static int64_t give_particle(model *m, int victim) {
    int64_t n = 0, *link = &m->first[victim], taken;
    for (int64_t p = *link; p >= 0; p = m->next[p]) m->given[n++] = m->cost[p];
    double in_hand = m->ends.key[victim] == NEVER ? 0 : -m->ends.key[victim] - m->clock;
    int64_t which = mt_choose_migration(m->given, n, in_hand, m->how->measured.costs.move);
    if (which < 0) return -1;
    while (which-- > 0) link = &m->next[*link];
    taken = *link;
    *link = m->next[taken];
    return taken;
}

static void dispatch_steals(model *m) {
    int thief, victim;
    while (m->missing > 0 && mt_board_match(&m->board, &thief, &victim)) {
        int64_t p = give_particle(m, victim);
        take_message(m, victim);
        if (p < 0) {
            mt_board_refused(&m->board, thief);
            continue;
        }
        mt_board_migrated(&m->board, victim, thief, m->cost[p]);
        m->owner[p] = thief;
        m->result->stolen++;
        begin_particle(m, thief, p, (m->desk - m->now) * core_share_now(m) + m->how->measured.costs.move);
    }
}

/* The window that ends next: its report, and what its rank does then. */
static void next_event(model *m) {
    int rank = mt_heap_top(&m->ends);
    double end = -m->ends.key[rank];
    int64_t p = m->hand[rank];
    m->now += (end - m->clock) / core_share_now(m);
    m->clock = end;
    m->missing--;
    begin_next(m, rank, 0);
    take_message(m, rank);
    mt_board_reported(&m->board, rank, m->cost[p]);
    dispatch_steals(m);
}

/* ---- one outer step -------------------------------------------------------------------------- */

static int longest_first(const void *a, const void *b, void *costs) {
    const double *cost = costs;
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return cost[x] != cost[y] ? (cost[x] < cost[y] ? 1 : -1) : (x > y) - (x < y);
}

/* Costs and places; returns 0 when memory ends. */
static int place(model *m, int64_t window) {
    const mt_simulation *how = m->how;
    double start = mt_wall_seconds();
    for (int64_t p = 0; p < how->particles; p++)
        m->cost[p] = mt_predict_cost(&how->measured.costs, how->cfg, &m->at[p], window) + how->perturb;
    int64_t moves = mt_assign_particles(m->cost, m->owner, how->particles, how->workers,
                                        how->workers > 1 ? (double)how->particles * how->measured.message : 0,
                                        2 * how->measured.costs.ship, m->placed);
    if (moves < 0) return 0;
    mt_board_start(&m->board, m->cost, m->placed, how->particles, how->measured.costs.move);
    m->now += mt_wall_seconds() - start;
    m->result->placing += mt_wall_seconds() - start;
    m->result->moved += moves;
    memcpy(m->owner, m->placed, (size_t)how->particles * sizeof *m->owner);
    return 1;
}

/* Levels of the tree above a place in it. */
static int tree_depth(int place) {
    int d = 0;
    for (; place > 0; place = (place - 1) / MT_TREE_CHILDREN) d++;
    return d;
}

/* Of the gradient (gradient_shares.c): the plan down the tree, the largest share, its numbers and those of the
 * other shares back at rank 0. */
static double gradient_seconds(const mt_simulation *how) {
    int64_t pieces = (how->theta + MT_NOISE_CHUNK - 1) / MT_NOISE_CHUNK;
    int shares = mt_count_shares(how->cfg, how->particles, how->theta, pieces, how->workers);
    double crowd = shares > how->cores ? (double)shares / how->cores : 1;
    int64_t largest = (pieces + shares - 1) / shares;
    double own = fmin((double)(largest * MT_NOISE_CHUNK), (double)how->theta);
    double work = (double)how->particles * own * how->measured.noise_seconds * crowd;
    if (shares == 1) return work;
    double plans = (double)how->particles * sizeof(mt_plan), others = (double)how->theta * (shares - 1) / shares,
           level = how->latency + MT_TREE_CHILDREN * plans / how->bandwidth;
    return work + tree_depth(shares - 1) * level + how->latency + (shares - 1) * how->measured.message +
           others * sizeof(double) / how->bandwidth;
}

/* Lists of what each rank runs, longest first, and the first window of each. */
static void begin_windows(model *m, int64_t window) {
    const mt_simulation *how = m->how;
    double level = how->latency + MT_TREE_CHILDREN * 4.0 * (double)how->theta / how->bandwidth;
    for (int64_t p = 0; p < how->particles; p++) {
        lopt_rng_stream r = open_structure_stream(how->cfg, LOPT_RNG_TEST, p, window);
        double s = how->measured.spread;
        m->real[p] = m->cost[p] * exp(s * lopt_rng_draw_normal(&r) - s * s / 2);
        m->order[p] = p;
    }
    qsort_r(m->order, (size_t)how->particles, sizeof *m->order, longest_first, m->cost);
    for (int rank = 0; rank < how->workers; rank++) {
        m->first[rank] = -1;
        mt_heap_set(&m->ends, rank, NEVER);
    }
    for (int64_t i = how->particles - 1; i >= 0; i--) {
        int64_t p = m->order[i];
        m->next[p] = m->first[m->owner[p]];
        m->first[m->owner[p]] = p;
    }
    m->missing = how->particles;
    m->busy = 0;
    for (int rank = 0; rank < how->workers; rank++)
        begin_next(m, rank, tree_depth(rank) * level * core_share(how, how->workers));
    m->result->sending += tree_depth(how->workers - 1) * level;
}

static int outer_step(model *m, int64_t window) {
    const mt_simulation *how = m->how;
    if (!place(m, window)) return 0;
    double start = m->now;
    begin_windows(m, window);
    dispatch_steals(m);
    while (m->missing > 0) next_event(m);
    double ended = m->now, taken = fmax(m->now, m->desk);
    m->result->windows += ended - start;
    m->result->waiting += taken - ended;
    double gradient = gradient_seconds(how);
    m->result->gradient += gradient;
    m->result->updating += how->measured.coordinator_seconds;
    m->now = taken + gradient + how->measured.coordinator_seconds;
    for (int64_t p = 0; p < how->particles; p++) {
        m->result->utilisation += m->real[p];
        mt_advance_window(how->cfg, &m->at[p], window);
    }
    return 1;
}

int mt_simulate_run(const mt_simulation *how, mt_simulated *result, lopt_error *err) {
    model m;
    int ok = 1;
    int cores = how->workers < how->cores ? how->workers : how->cores;
    *result = (mt_simulated){.seconds = 0};
    if (!open_model(&m, how, result, err)) return 0;
    for (int64_t window = 0; ok && window < how->outer_steps; window++)
        ok = outer_step(&m, window) ||
             mt_error(err, LOPT_ENOMEM, "out of memory for placing %lld particles", (long long)how->particles);
    result->seconds = m.now;
    result->utilisation /= m.now * cores;
    close_model(&m);
    return ok;
}

/* ---- the update of theta --------------------------------------------------------------------- */

enum { SAMPLE = 8, ROUNDS = 7 }; /* particles timed, the others take as long */

/* Reports of one window; those of estimators that keep their noise draw it anew now and then. */
static void make_reports(const mt_config *cfg, int64_t round, mt_report report[SAMPLE]) {
    int each = mt_estimator_rule(cfg->estimator.name)->redraw == MT_EACH_WINDOW;
    for (int64_t p = 0; p < SAMPLE; p++) {
        int64_t noise = each ? round : (round + p) / SAMPLE;
        report[p] =
            (mt_report){.particle = p,
                        .n_segments = 1,
                        .inner_steps = 2,
                        .segment = {{.trajectory = each ? 0 : noise, .noise = noise, .count = 1, .sum = {1, 1.1}}}};
    }
}

static void keep_least(mt_update *least, const double at[4], int64_t theta) {
    least->plan = fmin(least->plan, (at[1] - at[0]) / SAMPLE);
    least->draw = fmin(least->draw, (at[2] - at[1]) / SAMPLE / (double)theta);
    least->outer = fmin(least->outer, at[3] - at[2]);
}

static void time_updates(const mt_config *cfg, mt_es_gradient *e, mt_outer *o, float *theta, mt_update *update) {
    *update = (mt_update){INFINITY, INFINITY, INFINITY};
    for (int64_t round = 0; round < ROUNDS; round++) {
        mt_report report[SAMPLE];
        mt_outer_summary summary;
        mt_outer_norms norms;
        double at[4];
        make_reports(cfg, round, report);
        at[0] = mt_wall_seconds();
        mt_plan_gradient(e, report);
        at[1] = mt_wall_seconds();
        for (size_t k = 0; k < e->n_chunks; k++) mt_compute_chunk(e, k);
        at[2] = mt_wall_seconds();
        mt_finish_gradient(e, report, &summary);
        mt_outer_update(o, e->gradient, theta, &norms);
        at[3] = mt_wall_seconds();
        keep_least(update, at, (int64_t)e->noise.n);
    }
}

int mt_measure_update(const mt_config *cfg, int64_t theta, mt_update *update, lopt_error *err) {
    size_t n = (size_t)theta;
    unsigned char *trained = malloc(n);
    float *numbers = calloc(n, sizeof *numbers);
    mt_noise noise = {cfg->seed, (float)cfg->estimator.std, n, trained};
    mt_es_gradient e = {0};
    mt_outer o = {0};
    if (trained) memset(trained, 1, n);
    int ok = trained && numbers ? mt_es_gradient_open(&e, &cfg->estimator, noise, SAMPLE, err)
                                : mt_error(err, LOPT_ENOMEM, "out of memory for a theta of %zu numbers", n);
    ok = ok && mt_outer_open(&o, cfg, trained, n, err);
    if (ok) time_updates(cfg, &e, &o, numbers, update);
    mt_es_gradient_close(&e);
    mt_outer_close(&o);
    free(trained);
    free(numbers);
    return ok;
}
