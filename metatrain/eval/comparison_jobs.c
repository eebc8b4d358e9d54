/* SPDX-License-Identifier: Apache-2.0
 *
 * comparison_jobs.c - the two phases of a comparison, assigned to the ranks: sweeps and searches, then
 * the runs that are reported. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/progress.h"
#include "eval/comparison.h"
#include "ranks/load_balance.h"

#define SWEEP_SEED_0 1000000 /* sweep seeds count from here, reported seeds from 0 */
#define TAG_CELLS 301
#define TAG_CHOICE 302

/* ---- cells --------------------------------------------------------------------------------------- */

typedef struct cell {
    int entry, task, trial, rank;
    int64_t seed_index;
    double cost;
} cell;

/* The runs of one phase and their results. */
typedef struct phase {
    const char *name;
    const mt_curve_plan *plan;
    size_t n_cells, n_points;
    cell *cells;
    mt_point *points; /* [n_cells][n_points] */
    double *seconds;  /* [n_cells] one inner step */
} phase;

static void *allocate_or_end(mt_transport *comm, size_t n, size_t bytes) {
    void *memory = calloc(n > 0 ? n : 1, bytes);
    if (memory != NULL) return memory;
    lopt_error err;
    mt_error(&err, LOPT_ENOMEM, "out of memory for the results of an evaluation");
    mt_print_error(&err);
    mt_abort_ranks(comm, MT_FAILED);
    return NULL;
}

/* Operations of a step: the gradient's, and for each parameter a few dozen or the network's. */
static double cell_cost(const mt_comparison *c, const cell *one) {
    const task *t = c->tasks[one->task];
    const lopt_optimizer *opt = c->entries[one->entry].opt[one->trial];
    return t->flops_per_step + (double)t->n_params * (20.0 + 2.0 * (double)lopt_n_theta(opt));
}

static void add_cell(phase *p, const mt_comparison *c, cell one) {
    one.cost = cell_cost(c, &one);
    p->cells[p->n_cells++] = one;
}

/* Longest first, each to the rank with the least so far. */
static void assign_cells(phase *p, mt_transport *comm) {
    double *cost = allocate_or_end(comm, p->n_cells, sizeof *cost);
    int *rank = allocate_or_end(comm, 2 * p->n_cells, sizeof *rank), *owner = rank + p->n_cells;
    for (size_t i = 0; i < p->n_cells; i++) {
        cost[i] = p->cells[i].cost;
        owner[i] = -1;
    }
    if (mt_assign_particles(cost, owner, (int64_t)p->n_cells, comm->size, 0, 0, rank) < 0)
        mt_abort_without_memory(comm, "the assignment of an evaluation");
    for (size_t i = 0; i < p->n_cells; i++) p->cells[i].rank = rank[i];
    free(rank);
    free(cost);
}

static void run_cell(const mt_comparison *c, const phase *p, size_t i, mt_transport *comm) {
    lopt_error err;
    const cell *one = &p->cells[i];
    if (!mt_compute_curve(c->tasks[one->task], c->entries[one->entry].opt[one->trial], p->plan, one->seed_index,
                          &p->points[i * p->n_points], &p->seconds[i], &err)) {
        mt_print_error(&err);
        mt_abort_ranks(comm, MT_FAILED);
    }
    p->seconds[i] /= (double)p->plan->steps;
}

static size_t count_cells(const phase *p, int rank) {
    size_t n = 0;
    for (size_t i = 0; i < p->n_cells; i++) n += p->cells[i].rank == rank;
    return n;
}

/* Rank 0 shows its own share as that of all: the others have as much to do. */
static void run_own_cells(const mt_comparison *c, const phase *p, mt_transport *comm, mt_progress *progress) {
    size_t own = count_cells(p, comm->rank), done = 0;
    int64_t before = progress != NULL ? progress->count : 0;
    for (size_t i = 0; i < p->n_cells; i++) {
        if (p->cells[i].rank != comm->rank) continue;
        run_cell(c, p, i, comm);
        done++;
        if (progress == NULL) continue;
        char text[160];
        snprintf(text, sizeof text, "%s: %s", p->name, c->entries[p->cells[i].entry].label);
        mt_progress_update(progress, before + (int64_t)(p->n_cells * done / own), text);
    }
}

/* A worker's results travel as [its cells][n_points] points, then [its cells] seconds. */
static void send_results(const phase *p, mt_transport *comm) {
    size_t own = count_cells(p, comm->rank), row = p->n_points * sizeof *p->points, at = 0;
    char *message = allocate_or_end(comm, own, row + sizeof(double));
    for (size_t i = 0; i < p->n_cells; i++) {
        if (p->cells[i].rank != comm->rank) continue;
        memcpy(message + at * row, &p->points[i * p->n_points], row);
        memcpy(message + own * row + at * sizeof(double), &p->seconds[i], sizeof(double));
        at++;
    }
    mt_send_message(comm, 0, TAG_CELLS, message, own * (row + sizeof(double)));
    free(message);
}

static void receive_results(const phase *p, mt_transport *comm, int rank) {
    size_t own = count_cells(p, rank), row = p->n_points * sizeof *p->points, at = 0, n;
    char *message = mt_receive_message(comm, rank, TAG_CELLS, &n);
    if (n != own * (row + sizeof(double))) {
        lopt_error err;
        mt_error(&err, LOPT_EIO, "rank %d sent %zu bytes of results, expected %zu", rank, n,
                 own * (row + sizeof(double)));
        mt_print_error(&err);
        mt_abort_ranks(comm, MT_FAILED);
    }
    for (size_t i = 0; i < p->n_cells; i++) {
        if (p->cells[i].rank != rank) continue;
        memcpy(&p->points[i * p->n_points], message + at * row, row);
        memcpy(&p->seconds[i], message + own * row + at * sizeof(double), sizeof(double));
        at++;
    }
    free(message);
}

/* Afterwards rank 0 has every result. */
static void run_phase(const mt_comparison *c, phase *p, mt_transport *comm, mt_progress *progress) {
    p->n_points = mt_curve_points(p->plan);
    p->points = allocate_or_end(comm, p->n_cells * p->n_points, sizeof *p->points);
    p->seconds = allocate_or_end(comm, p->n_cells, sizeof *p->seconds);
    assign_cells(p, comm);
    run_own_cells(c, p, comm, progress);
    if (comm->rank != 0) send_results(p, comm);
    for (int rank = 1; comm->rank == 0 && rank < comm->size; rank++) receive_results(p, comm, rank);
}

static void phase_free(phase *p) {
    free(p->cells);
    free(p->points);
    free(p->seconds);
}

/* ---- the two phases ------------------------------------------------------------------------------ */

static size_t count_sweep_cells(const mt_comparison *c) {
    size_t n = 0;
    for (int e = 0; e < c->n_entries; e++)
        if (c->entries[e].n_trials > 1) n += (size_t)c->entries[e].n_trials;
    return n * (size_t)c->n_tasks * MT_SWEEP_SEEDS;
}

static void add_sweep_cells(const mt_comparison *c, phase *p) {
    for (int t = 0; t < c->n_tasks; t++)
        for (int e = 0; e < c->n_entries; e++)
            for (int trial = 0; c->entries[e].n_trials > 1 && trial < c->entries[e].n_trials; trial++)
                for (int s = 0; s < MT_SWEEP_SEEDS; s++)
                    add_cell(p, c, (cell){.task = t, .entry = e, .trial = trial, .seed_index = SWEEP_SEED_0 + s});
}

/* The trial with the lowest mean; the first of equals; one that is not a number never. */
static int lowest_loss(const double *loss, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (loss[i] < loss[best] || isnan(loss[best])) best = i;
    return best;
}

static void choose_trials(mt_comparison *c, const phase *p) {
    for (size_t i = 0; i < p->n_cells; i += MT_SWEEP_SEEDS) { /* the seeds of one trial lie together */
        double loss[MT_SWEEP_SEEDS];
        for (size_t s = 0; s < MT_SWEEP_SEEDS; s++)
            loss[s] = p->points[(i + s) * p->n_points + p->n_points - 1].normalised[TASK_INNER_VALID];
        const cell *one = &p->cells[i];
        mt_outcome *o = mt_comparison_outcome(c, one->task, one->entry);
        o->sweep_loss[one->trial] = mt_mean_of(loss, MT_SWEEP_SEEDS).mean;
    }
    for (int i = 0; i < c->n_tasks * c->n_entries; i++) {
        int n_trials = c->entries[i % c->n_entries].n_trials;
        c->outcomes[i].chosen = n_trials > 1 ? lowest_loss(c->outcomes[i].sweep_loss, n_trials) : 0;
    }
}

/* Rank 0 knows the losses, every rank needs the choice. */
static void share_choices(mt_comparison *c, mt_transport *comm) {
    size_t n = (size_t)c->n_tasks * (size_t)c->n_entries, got;
    int *choice = allocate_or_end(comm, n, sizeof *choice);
    if (comm->rank == 0) {
        for (size_t i = 0; i < n; i++) choice[i] = c->outcomes[i].chosen;
        for (int rank = 1; rank < comm->size; rank++)
            mt_send_message(comm, rank, TAG_CHOICE, choice, n * sizeof *choice);
    } else {
        free(choice);
        choice = mt_receive_message(comm, 0, TAG_CHOICE, &got);
        for (size_t i = 0; i < n; i++) c->outcomes[i].chosen = choice[i];
    }
    free(choice);
}

static void run_sweep(mt_comparison *c, mt_transport *comm, mt_progress *progress) {
    phase p = {.name = "sweep", .plan = &c->sweep_plan};
    p.cells = allocate_or_end(comm, count_sweep_cells(c), sizeof *p.cells);
    add_sweep_cells(c, &p);
    run_phase(c, &p, comm, progress);
    if (comm->rank == 0) choose_trials(c, &p);
    share_choices(c, comm);
    phase_free(&p);
}

static void final_runs(mt_comparison *c, mt_transport *comm, mt_progress *progress) {
    phase p = {.name = "final", .plan = &c->plan};
    int n = c->n_tasks * c->n_entries;
    int64_t seeds = c->suite->seeds;
    p.cells = allocate_or_end(comm, (size_t)n * (size_t)seeds, sizeof *p.cells);
    for (int i = 0; i < n; i++)
        for (int64_t s = 0; s < seeds; s++)
            add_cell(&p, c,
                     (cell){.task = i / c->n_entries,
                            .entry = i % c->n_entries,
                            .trial = c->outcomes[i].chosen,
                            .seed_index = s});
    run_phase(c, &p, comm, progress);
    size_t points = (size_t)seeds * p.n_points;
    for (int i = 0; i < n; i++) {
        memcpy(c->outcomes[i].points, p.points + (size_t)i * points, points * sizeof *p.points);
        memcpy(c->outcomes[i].seconds, p.seconds + i * seeds, (size_t)seeds * sizeof *p.seconds);
    }
    phase_free(&p);
}

void mt_comparison_run(mt_comparison *c, mt_transport *comm) {
    mt_progress progress = {0};
    mt_progress *shown = comm->rank == 0 ? &progress : NULL;
    int64_t n = (int64_t)count_sweep_cells(c) + c->n_tasks * c->n_entries * c->suite->seeds;
    if (shown) mt_progress_start(shown, "inner training", 0, n);
    run_sweep(c, comm, shown);
    final_runs(c, comm, shown);
    if (shown) mt_progress_finish(shown);
}
