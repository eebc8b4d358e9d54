/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluation.c - see evaluation.h. Top down: stages of a task and an entry; the pool of cells; ranks; the loop. */
#include "eval/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/stop_request.h"
#include "eval/nadamw_search.h"

enum { TAG_CELL = 301, TAG_RESULT };
enum { END_OF_CELLS = -1, PROGRESS = 1000000 };

#define SAVE_SECONDS 0.2    /* between two saves of the store; longer where a save takes long */
#define SHOW_SECONDS 0.5    /* between two looks at how much is left */
#define SAVE_SHARE 0.02     /* of the time for saving, at most */
#define POLL_SECONDS 200e-6 /* between polls of rank 0 while it trains */
#define MAX_EXTENSIONS 8    /* rates beyond each end of a sweep */
#define LARGEST_NET 3000.0  /* weights of it that run for each parameter */
#define STEPS_OF_PARAM 20.0 /* operations of an update for each parameter, beside those of a network */

typedef struct cell_pace {
    double seconds, operations; /* of trainings that are done */
} cell_pace;

typedef enum outcome_stage { TRIALS, FINAL, COMPLETE } outcome_stage;

/* A task and an entry. */
typedef struct outcome {
    outcome_stage stage;
    int pending, extended[2]; /* pending: cells of this stage; extended: rates added below, above */
    double *sweep;            /* [n_trials][sweep_seeds] loss, inner validation, after the last step */
    mt_result *result;
    cell_pace pace;
} outcome;

typedef struct waiting_cell {
    mt_cell cell;
    char key[MT_DIGEST_HEX];
    double operations; /* predicted */
} waiting_cell;

typedef struct cell_list {
    waiting_cell *cell;
    size_t n, capacity;
} cell_list;

/* Where a training in hand runs. */
typedef struct running_cell {
    waiting_cell waiting;
    int rank; /* -1: nowhere */
} running_cell;

typedef struct evaluation {
    mt_comparison *comparison;
    mt_transport *transport;
    mt_cell_store *store;
    mt_results *results;
    outcome *outcomes; /* [n_tasks][n_entries] */
    cell_list pool;
    running_cell *running;     /* [2 * size] */
    int n_running, *in_flight; /* in_flight [size] */
    cell_pace *pace;           /* [n_tasks + 1]: of each, of all */
    int64_t n_stored, n_computed;
    /* rank 0's own */
    mt_training *training;
    lopt_optimizer *optimizer;
    waiting_cell own;
    mt_point *points;
    double next_save, next_poll, next_show;
    mt_progress progress;
} evaluation;

static int report_memory(lopt_error *err) {
    return mt_error(err, LOPT_ENOMEM, "out of memory for the results of an evaluation");
}

/* ---- the pool of cells --------------------------------------------------------------------------- */

static outcome *outcome_of(const evaluation *e, const mt_cell *cell) {
    return &e->outcomes[cell->task * e->comparison->n_entries + cell->entry];
}

/* Of a step: the gradient's, and for each parameter a few dozen or those of a network. Of a large theta a part alone runs
 * for each parameter. */
static double count_operations(const mt_comparison *c, const mt_cell *cell) {
    const task *t = c->tasks[cell->task];
    double n_theta = fmin((double)lopt_n_theta(c->entries[cell->entry].optimizer), LARGEST_NET);
    double update = (double)t->n_params * (STEPS_OF_PARAM + 2.0 * n_theta);
    const mt_curve_plan *plan = mt_plan_of(c, cell);
    double measures = (double)(mt_curve_points(plan) * (size_t)plan->batches) * (cell->is_final ? 3 : 1) / 3;
    return (double)plan->steps * (t->flops_per_step + update) + measures * t->flops_per_step;
}

/* Seconds of a cell on one rank, by the pace of its task and entry so far, else of its task, else of all; 0: nothing is
 * known. */
static double predict_seconds(const evaluation *e, const waiting_cell *w) {
    cell_pace pace = outcome_of(e, &w->cell)->pace;
    if (pace.operations == 0) pace = e->pace[w->cell.task];
    if (pace.operations == 0) pace = e->pace[e->comparison->n_tasks];
    return pace.operations > 0 ? w->operations * pace.seconds / pace.operations : 0;
}

static int push_cell(cell_list *list, const waiting_cell *w, lopt_error *err) {
    if (list->n == list->capacity) {
        size_t capacity = 2 * list->capacity + 64;
        waiting_cell *more = realloc(list->cell, capacity * sizeof *more);
        if (!more) return report_memory(err);
        list->cell = more;
        list->capacity = capacity;
    }
    list->cell[list->n++] = *w;
    return 1;
}

/* The longest; 0: there is none. */
static int take_longest(evaluation *e, waiting_cell *longest) {
    size_t best = 0;
    double most = -1;
    for (size_t i = 0; i < e->pool.n; i++) {
        double seconds = predict_seconds(e, &e->pool.cell[i]);
        if (seconds == 0) seconds = e->pool.cell[i].operations * 1e-9;
        if (seconds > most) {
            most = seconds;
            best = i;
        }
    }
    if (e->pool.n == 0) return 0;
    *longest = e->pool.cell[best];
    e->pool.cell[best] = e->pool.cell[--e->pool.n];
    return 1;
}

/* ---- stages -------------------------------------------------------------------------------------- */

static void keep_points(evaluation *e, const mt_cell *cell, const mt_point *points, double seconds) {
    const mt_comparison *c = e->comparison;
    outcome *o = outcome_of(e, cell);
    size_t n = mt_curve_points(mt_plan_of(c, cell));
    if (cell->is_final) {
        memcpy(o->result->points + (size_t)cell->seed_index * n, points, n * sizeof *points);
        o->result->seconds[cell->seed_index] = seconds;
    } else {
        int64_t at = cell->trial * c->suite->sweep_seeds + cell->seed_index - MT_SWEEP_SEED_0;
        o->sweep[at] = points[n - 1].normalised[TASK_INNER_VALID];
    }
}

static void learn_pace(evaluation *e, const waiting_cell *w, double step_seconds) {
    double done = step_seconds * (double)mt_plan_of(e->comparison, &w->cell)->steps;
    cell_pace *of[] = {&outcome_of(e, &w->cell)->pace, &e->pace[w->cell.task], &e->pace[e->comparison->n_tasks]};
    for (int i = 0; i < 3; i++) {
        of[i]->seconds += done;
        of[i]->operations += w->operations;
    }
}

static void take_result(evaluation *e, const waiting_cell *w, const mt_point *points, double seconds) {
    keep_points(e, &w->cell, points, seconds);
    learn_pace(e, w, seconds);
    outcome_of(e, &w->cell)->pending--;
}

/* Takes results out of the store; what is not there waits in the pool. */
static int add_cells(evaluation *e, waiting_cell *cells, int n, lopt_error *err) {
    mt_comparison *c = e->comparison;
    outcome_of(e, &cells[0].cell)->pending += n;
    for (int i = 0; i < n; i++) {
        waiting_cell *w = &cells[i];
        w->operations = count_operations(c, &w->cell);
        if (!mt_cell_key(c, &w->cell, w->key, err)) return 0;
        const mt_stored_cell *found = mt_find_cell(e->store, w->key);
        if (found && found->n_points == mt_curve_points(mt_plan_of(c, &w->cell))) {
            e->n_stored++;
            take_result(e, w, found->points, found->seconds);
        } else if (!push_cell(&e->pool, w, err)) {
            return 0;
        }
    }
    return 1;
}

static int add_trials(evaluation *e, int task_index, int entry, int first, lopt_error *err) {
    const mt_comparison *c = e->comparison;
    const mt_result *r = mt_result_at(e->results, task_index, entry);
    int64_t seeds = c->suite->sweep_seeds;
    int n = 0;
    waiting_cell *cells = calloc((size_t)((r->n_trials - first) * seeds), sizeof *cells);
    if (!cells) return report_memory(err);
    for (int trial = first; trial < r->n_trials; trial++)
        for (int64_t s = 0; s < seeds; s++)
            cells[n++].cell = (mt_cell){task_index, entry, trial, 0, r->trial_rate[trial], MT_SWEEP_SEED_0 + s};
    int ok = add_cells(e, cells, n, err);
    free(cells);
    return ok;
}

static int add_final_cells(evaluation *e, int task_index, int entry, lopt_error *err) {
    const mt_result *r = mt_result_at(e->results, task_index, entry);
    int seeds = (int)e->comparison->suite->seeds;
    waiting_cell *cells = calloc((size_t)seeds, sizeof *cells);
    if (!cells) return report_memory(err);
    for (int s = 0; s < seeds; s++)
        cells[s].cell = (mt_cell){task_index, entry, r->chosen, 1, r->trial_rate[r->chosen], s};
    e->outcomes[task_index * e->comparison->n_entries + entry].stage = FINAL;
    int ok = add_cells(e, cells, seeds, err);
    free(cells);
    return ok;
}

/* The trial with the lowest mean; the first of equals; one that is not a number never. */
static void choose_trial(const evaluation *e, const outcome *o) {
    mt_result *r = o->result;
    size_t seeds = (size_t)e->comparison->suite->sweep_seeds;
    r->chosen = 0;
    for (int i = 0; i < r->n_trials; i++) {
        r->trial_loss[i] = mt_mean_of(o->sweep + (size_t)i * seeds, seeds).mean;
        if (r->trial_loss[i] < r->trial_loss[r->chosen] || isnan(r->trial_loss[r->chosen])) r->chosen = i;
    }
}

/* -1 or 1: no rate below or above the chosen one was tried; 0: both were. */
static int find_end(const mt_result *r) {
    int lower = 0, higher = 0;
    for (int i = 0; i < r->n_trials; i++) {
        lower |= r->trial_rate[i] < r->trial_rate[r->chosen];
        higher |= r->trial_rate[i] > r->trial_rate[r->chosen];
    }
    return lower && higher ? 0 : higher ? -1 : 1;
}

/* The next of ... 0.1, 0.3, 1, 3, 10 ... */
static double next_rate(double rate, int direction) {
    long place = lround(2 * log10(rate)) + direction;
    long power = (place - (place & 1)) / 2;
    return (place & 1 ? 3 : 1) * pow(10, (double)power);
}

/* Another rate beyond the end at which the best one is. 0: memory. */
static int extend_sweep(evaluation *e, outcome *o, int direction, lopt_error *err) {
    mt_result *r = o->result;
    size_t seeds = (size_t)e->comparison->suite->sweep_seeds;
    double rate = next_rate(r->trial_rate[r->chosen], direction);
    double *sweep = realloc(o->sweep, (size_t)(r->n_trials + 1) * seeds * sizeof *sweep);
    if (!sweep) return report_memory(err);
    o->sweep = sweep;
    if (!mt_result_set_trials(r, r->n_trials + 1, err)) return 0;
    r->trial_rate[r->n_trials - 1] = rate;
    o->extended[direction > 0]++;
    return 1;
}

/* The trials are done: more of them, or the seeds that are reported. */
static int finish_trials(evaluation *e, int task_index, int entry, lopt_error *err) {
    const mt_comparison *c = e->comparison;
    outcome *o = &e->outcomes[task_index * c->n_entries + entry];
    mt_result *r = o->result;
    choose_trial(e, o);
    r->at_end = mt_is_swept(&c->entries[entry]) ? find_end(r) : 0;
    int extends = c->suite->extend_sweep && r->at_end && isfinite(r->trial_loss[r->chosen]);
    if (extends && o->extended[r->at_end > 0] < MAX_EXTENSIONS)
        return extend_sweep(e, o, r->at_end, err) && add_trials(e, task_index, entry, r->n_trials - 1, err);
    return add_final_cells(e, task_index, entry, err);
}

/* Begins the next stage, and the one after it where the store had all of that. */
static int advance_outcome(evaluation *e, int task_index, int entry, lopt_error *err) {
    outcome *o = &e->outcomes[task_index * e->comparison->n_entries + entry];
    int ok = 1;
    while (ok && o->pending == 0 && o->stage != COMPLETE) {
        if (o->stage == FINAL)
            o->stage = COMPLETE;
        else
            ok = finish_trials(e, task_index, entry, err);
    }
    return ok;
}

static int open_outcome(evaluation *e, int task_index, int entry, lopt_error *err) {
    const mt_comparison *c = e->comparison;
    outcome *o = &e->outcomes[task_index * c->n_entries + entry];
    int n = mt_count_trials(c, entry), swept = mt_is_swept(&c->entries[entry]);
    o->result = mt_result_at(e->results, task_index, entry);
    if (!mt_result_set_trials(o->result, n, err)) return 0;
    o->sweep = calloc((size_t)n * (size_t)c->suite->sweep_seeds, sizeof *o->sweep);
    if (!o->sweep) return report_memory(err);
    for (int i = 0; i < n; i++) {
        lopt_optimizer *opt = mt_make_trial(c, entry, i, swept ? c->suite->sweep[i] : 0, err);
        if (!opt) return 0;
        int has_rate = n > 1 || !lopt_info(opt)->learned;
        o->result->trial_rate[i] = has_rate ? lopt_get_number(opt, "learning_rate", 0) : NAN;
        lopt_destroy(opt);
    }
    return (n > 1 ? add_trials(e, task_index, entry, 0, err) : add_final_cells(e, task_index, entry, err)) &&
           advance_outcome(e, task_index, entry, err);
}

/* ---- other ranks --------------------------------------------------------------------------------- */

/* A rank that cannot go on ends all ranks: rank 0 waits for its answer. */
static void fail_evaluation(mt_transport *transport, const lopt_error *err) {
    mt_print_error(err);
    mt_abort_ranks(transport, MT_FAILED);
}

static void serve_cell(const mt_comparison *c, mt_transport *transport, const mt_cell *cell) {
    lopt_error err;
    const mt_curve_plan *plan = mt_plan_of(c, cell);
    size_t n = mt_curve_points(plan) * sizeof(mt_point);
    char *message = malloc(sizeof(double) + n);
    if (!message) mt_abort_without_memory(transport, "a training curve");
    lopt_optimizer *opt = mt_make_trial(c, cell->entry, cell->trial, cell->rate, &err);
    double seconds = 0;
    if (!opt || !mt_compute_curve(c->tasks[cell->task], opt, plan, cell->seed_index,
                                  (mt_point *)(void *)(message + sizeof(double)), &seconds, &err))
        fail_evaluation(transport, &err);
    seconds /= (double)plan->steps;
    memcpy(message, &seconds, sizeof seconds);
    mt_send_message(transport, 0, TAG_RESULT, message, sizeof(double) + n);
    lopt_destroy(opt);
    free(message);
}

void mt_serve_evaluation(const mt_comparison *c, mt_transport *transport) {
    for (;;) {
        size_t n;
        mt_cell *cell = mt_receive_message(transport, 0, TAG_CELL, &n);
        int ends = cell->task == END_OF_CELLS;
        if (!ends) serve_cell(c, transport, cell);
        free(cell);
        if (ends) return;
    }
}

static int send_next_cell(evaluation *e, int rank) {
    running_cell *r = &e->running[e->n_running];
    if (!take_longest(e, &r->waiting)) return 0;
    r->rank = rank;
    e->n_running++;
    e->in_flight[rank]++;
    mt_send_message(e->transport, rank, TAG_CELL, &r->waiting.cell, sizeof r->waiting.cell);
    return 1;
}

/* While much is left a rank has its next cell before the one in hand is done. */
static void feed_ranks(evaluation *e) {
    for (int rank = 1; rank < e->transport->size; rank++) {
        int most = e->pool.n > 4 * (size_t)e->transport->size ? 2 : 1;
        while (e->in_flight[rank] < most && send_next_cell(e, rank)) continue;
    }
}

static int finish_cell(evaluation *e, const waiting_cell *w, const mt_point *points, double seconds, lopt_error *err) {
    char what[200];
    size_t n = mt_curve_points(mt_plan_of(e->comparison, &w->cell));
    mt_describe_cell(e->comparison, &w->cell, what, sizeof what);
    e->n_computed++;
    take_result(e, w, points, seconds);
    return mt_store_cell(e->store, w->key, what, points, n, seconds, err) &&
           advance_outcome(e, w->cell.task, w->cell.entry, err);
}

/* A rank answers in the order in which it was sent its cells. */
static int take_answer(evaluation *e, const mt_message *m, lopt_error *err) {
    int i = 0;
    while (i < e->n_running && e->running[i].rank != m->from) i++;
    if (i == e->n_running || m->tag != TAG_RESULT)
        return mt_error(err, LOPT_EIO, "message %d from rank %d is malformed", m->tag, m->from);
    waiting_cell w = e->running[i].waiting;
    size_t n = mt_curve_points(mt_plan_of(e->comparison, &w.cell));
    if (m->n != sizeof(double) + n * sizeof(mt_point))
        return mt_error(err, LOPT_EIO, "rank %d sent %zu bytes of results, expected %zu", m->from, m->n,
                        sizeof(double) + n * sizeof(mt_point));
    memmove(&e->running[i], &e->running[i + 1], (size_t)(--e->n_running - i) * sizeof *e->running);
    e->in_flight[m->from]--;
    double seconds;
    memcpy(&seconds, m->data, sizeof seconds);
    return finish_cell(e, &w, (const mt_point *)(const void *)((const char *)m->data + sizeof seconds), seconds, err);
}

static int take_answers(evaluation *e, lopt_error *err) {
    mt_message m;
    int ok = 1;
    while (ok && e->transport->size > 1 && mt_take_message(e->transport, &m)) {
        ok = take_answer(e, &m, err);
        free(m.data);
    }
    if (ok) feed_ranks(e);
    return ok;
}

/* ---- rank 0's own trainings ---------------------------------------------------------------------- */

static int begin_training(evaluation *e, lopt_error *err) {
    if (!take_longest(e, &e->own)) return 1;
    const mt_cell *cell = &e->own.cell;
    e->optimizer = mt_make_trial(e->comparison, cell->entry, cell->trial, cell->rate, err);
    if (!e->optimizer) return 0;
    e->training = mt_curve_open(e->comparison->tasks[cell->task], e->optimizer, mt_plan_of(e->comparison, cell),
                                cell->seed_index, e->points, err);
    return e->training != NULL;
}

static void close_own_training(evaluation *e) {
    mt_curve_close(e->training);
    lopt_destroy(e->optimizer);
    e->training = NULL;
    e->optimizer = NULL;
}

/* Until it is done or the others must be heard. */
static int continue_training(evaluation *e, lopt_error *err) {
    while (mt_step_curve(e->training))
        if (mt_wall_seconds() > e->next_poll) return 1;
    double seconds = mt_curve_seconds(e->training) / (double)mt_plan_of(e->comparison, &e->own.cell)->steps;
    close_own_training(e);
    waiting_cell w = e->own;
    return finish_cell(e, &w, e->points, seconds, err);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

/* Seconds of one rank that are left, by what is known now. */
static double predict_left(const evaluation *e) {
    double left = 0;
    for (size_t i = 0; i < e->pool.n; i++) left += predict_seconds(e, &e->pool.cell[i]);
    for (int i = 0; i < e->n_running; i++) left += predict_seconds(e, &e->running[i].waiting);
    for (int i = 0; i < e->comparison->n_tasks * e->comparison->n_entries; i++) {
        const outcome *o = &e->outcomes[i];
        waiting_cell last = {.cell = {i / e->comparison->n_entries, i % e->comparison->n_entries, 0, 1, 0, 0}};
        last.operations = count_operations(e->comparison, &last.cell);
        if (o->stage == TRIALS) left += predict_seconds(e, &last) * (double)e->comparison->suite->seeds;
    }
    return left;
}

/* In percent of the predicted time: cells differ too much to be counted. */
static void show_progress(evaluation *e) {
    char text[160], what[100];
    double left = predict_left(e), done = e->pace[e->comparison->n_tasks].seconds;
    const mt_cell *cell = e->training ? &e->own.cell : e->n_running ? &e->running[0].waiting.cell : NULL;
    if (!cell) return;
    mt_describe_cell(e->comparison, cell, what, sizeof what);
    long long n = e->n_computed + e->n_stored;
    snprintf(text, sizeof text, "%lld trainings done, at %s", n, what);
    mt_progress_update(&e->progress, (int64_t)(PROGRESS * done / (done + left + 1e-9)), text);
}

static int show_and_save(evaluation *e, lopt_error *err) {
    double now = mt_wall_seconds();
    if (now >= e->next_show) {
        show_progress(e);
        e->next_show = now + SHOW_SECONDS;
    }
    if (now < e->next_save) return 1;
    if (!mt_cell_store_save(e->store, err)) return 0;
    double end = mt_wall_seconds();
    e->next_save = end + fmax(SAVE_SECONDS, (end - now) / SAVE_SHARE);
    return 1;
}

/* 0: the work failed. */
static int run_cells(evaluation *e, const char **reason, lopt_error *err) {
    int ok = 1;
    for (int idle = 0; ok && (e->pool.n > 0 || e->n_running > 0 || e->training);) {
        if ((*reason = mt_stop_reason())) return 1;
        ok = take_answers(e, err);
        e->next_poll = mt_wall_seconds() + POLL_SECONDS;
        if (ok && !e->training) ok = begin_training(e, err);
        if (ok && e->training) {
            ok = continue_training(e, err);
            idle = 0;
        } else if (ok) {
            mt_rest_transport(e->transport, idle++);
        }
        ok = ok && show_and_save(e, err);
    }
    return ok;
}

static void describe_entries(const mt_comparison *c, mt_results *r) {
    for (int i = 0; i < c->n_entries; i++) {
        const mt_entry *from = &c->entries[i];
        mt_result_entry *to = &r->entries[i];
        memcpy(to->label, from->label, sizeof to->label);
        memcpy(to->theta_path, from->theta_path, sizeof to->theta_path);
        memcpy(to->digest, from->digest, sizeof to->digest);
        snprintf(to->optimizer, sizeof to->optimizer, "%s", lopt_info(from->optimizer)->name);
        to->learned = lopt_info(from->optimizer)->learned;
        to->n_theta = (int)lopt_n_theta(from->optimizer);
        to->searched = mt_is_searched(from);
        to->search_seed = to->searched ? from->baseline->search_seed : 0;
    }
}

static void describe_results(const mt_comparison *c, mt_results *r) {
    const mt_suite *s = c->suite;
    snprintf(r->version, sizeof r->version, "%s", lopt_version());
    snprintf(r->kernels, sizeof r->kernels, "%s", lopt_kernels_name());
    r->seed = s->seed;
    r->steps = s->steps;
    r->sweep_seeds = s->sweep_seeds;
    r->every = s->every;
    r->batches = s->batches;
    r->last_batches = s->last_batches;
    for (size_t i = 0; i < r->n_points; i++) r->x[i] = mt_curve_x(&c->plan, i);
    for (int t = 0; t < c->n_tasks; t++) {
        snprintf(r->tasks[t].name, sizeof r->tasks[t].name, "%s", c->tasks[t]->name);
        r->tasks[t].n_params = (int64_t)c->tasks[t]->n_params;
        r->tasks[t].flops_per_step = c->tasks[t]->flops_per_step;
        r->tasks[t].loss_bound = c->tasks[t]->loss_bound;
    }
    describe_entries(c, r);
}

/* Bytes of an optimizer's state for each parameter of a task. */
static double measure_state(const mt_comparison *c, int task_index, int entry) {
    const task *t = c->tasks[task_index];
    lopt_error err;
    size_t bytes = 0;
    lopt_state *state = lopt_state_create(c->entries[entry].optimizer, t->tensors, t->n_tensors, &err);
    if (!state) return NAN;
    lopt_state_data(state, &bytes);
    lopt_state_destroy(state);
    return (double)bytes / (double)t->n_params;
}

static int open_evaluation(evaluation *e, lopt_error *err) {
    mt_comparison *c = e->comparison;
    size_t n = (size_t)c->n_tasks * (size_t)c->n_entries, points = mt_curve_points(&c->plan);
    e->results = mt_results_create(c->n_tasks, c->n_entries, c->suite->seeds, points, err);
    if (!e->results) return 0;
    size_t most = points > mt_curve_points(&c->sweep_plan) ? points : mt_curve_points(&c->sweep_plan);
    e->outcomes = calloc(n, sizeof *e->outcomes);
    e->running = calloc(2 * (size_t)e->transport->size, sizeof *e->running);
    e->in_flight = calloc((size_t)e->transport->size, sizeof *e->in_flight);
    e->pace = calloc((size_t)c->n_tasks + 1, sizeof *e->pace);
    e->points = calloc(most, sizeof *e->points);
    if (!e->outcomes || !e->running || !e->in_flight || !e->pace || !e->points) return report_memory(err);
    describe_results(c, e->results);
    for (int t = 0; t < c->n_tasks; t++)
        for (int i = 0; i < c->n_entries; i++) {
            if (!open_outcome(e, t, i, err)) return 0;
            mt_result_at(e->results, t, i)->state_bytes = measure_state(c, t, i);
        }
    return 1;
}

static void close_evaluation(evaluation *e) {
    for (int i = 0; e->outcomes && i < e->comparison->n_tasks * e->comparison->n_entries; i++)
        free(e->outcomes[i].sweep);
    if (e->training) close_own_training(e);
    free(e->outcomes);
    free(e->running);
    free(e->in_flight);
    free(e->pace);
    free(e->points);
    free(e->pool.cell);
}

/* {"learning_rate": 0.001, "schedule": "cosine", ...}: what a row of a search sets, with the values of this one. */
static void describe_row(const lopt_optimizer *opt, char *text, size_t bytes) {
    lopt__optlist row;
    size_t n = 0;
    lopt__optlist_row(&row, 0, 0); /* for the names */
    for (int i = 0; i < LOPT__OPTLIST_SETTINGS && n < bytes; i++) {
        char value[64];
        lopt_get(opt, row.setting[i].name, value, sizeof value);
        int is_word = strspn(value, "-0123456789.") == 0 && strcmp(value, "true") != 0 && strcmp(value, "false") != 0;
        const char *quote = is_word ? "\"" : "";
        n += (size_t)snprintf(text + n, bytes - n, "%s\"%s\": %s%s%s", i ? ", " : "{", row.setting[i].name, quote,
                              value, quote);
    }
    if (n < bytes) snprintf(text + n, bytes - n, "}");
}

/* The row that a search chose, for tables. */
static int name_rows(const mt_comparison *c, mt_results *r, lopt_error *err) {
    for (int i = 0; i < c->n_entries * c->n_tasks; i++) {
        int entry = i % c->n_entries;
        if (!mt_is_searched(&c->entries[entry])) continue;
        lopt_optimizer *opt = mt_make_trial(c, entry, r->results[i].chosen, 0, err);
        if (!opt) return 0;
        describe_row(opt, r->results[i].settings, sizeof r->results[i].settings);
        lopt_destroy(opt);
    }
    return 1;
}

static void dismiss_ranks(mt_transport *transport) {
    mt_cell end = {.task = END_OF_CELLS};
    for (int rank = 1; rank < transport->size; rank++) mt_send_message(transport, rank, TAG_CELL, &end, sizeof end);
}

int mt_run_evaluation(mt_comparison *c, mt_transport *transport, mt_cell_store *store, mt_results **results,
                      lopt_error *err) {
    evaluation e = {.comparison = c, .transport = transport, .store = store};
    const char *reason = NULL;
    lopt_error unsaved;
    e.next_save = mt_wall_seconds() + SAVE_SECONDS;
    mt_progress_start(&e.progress, "evaluation", 0, PROGRESS);
    e.progress.in_percent = 1;
    int ok = open_evaluation(&e, err) && run_cells(&e, &reason, err) && (reason || name_rows(c, e.results, err));
    mt_progress_finish(&e.progress);
    dismiss_ranks(transport);
    int saved = mt_cell_store_save(store, ok ? err : &unsaved);
    long long n = e.n_computed + e.n_stored;
    if (ok && saved && reason)
        fprintf(stderr, "metatrain: stopped (%s) after %lld trainings; the same command goes on from there\n", reason,
                n);
    else if (ok && saved)
        fprintf(stderr, "metatrain: %lld trainings: %lld computed, %lld taken from earlier results\n", n,
                (long long)e.n_computed, (long long)e.n_stored);
    close_evaluation(&e);
    if (ok && saved && !reason) {
        *results = e.results;
        return MT_DONE;
    }
    mt_results_free(e.results);
    return ok && saved ? MT_STOPPED : MT_FAILED;
}
