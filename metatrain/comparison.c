/* SPDX-License-Identifier: Apache-2.0 */
#include "comparison.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "progress.h"
#include "theta_file.h"

#define SWEEP_SEED_0 1000000 /* sweep seeds count from here, reported seeds from 0 */
#define REPORT_SPLITS (MT_SPLIT(TASK_TRAIN) | MT_SPLIT(TASK_OUTER_VALID) | MT_SPLIT(TASK_TEST))
#define TAG_CELLS 301
#define TAG_CHOICE 302

/* ---- entries ------------------------------------------------------------------------------------- */

static mt_entry *add_entry(mt_comparison *c, const char *label) {
    mt_entry *e = &c->entries[c->n_entries++];
    snprintf(e->label, sizeof e->label, "%s", label);
    e->n_rates = 1;
    return e;
}

static void set_digest(mt_entry *e) {
    if (lopt_n_theta(e->opt[0]) > 0) mt_theta_digest(e->opt[0], lopt_theta(e->opt[0]), e->digest);
}

static int out_of_memory(lopt_error *err) { return mt_error(err, LOPT_ENOMEM, "out of memory"); }

/* Gives an optimizer the theta that a meta-training run with this seed starts from. */
static int start_theta(lopt_optimizer *opt, uint64_t seed, lopt_error *err) {
    size_t n = lopt_n_theta(opt);
    if (n == 0) return 1;
    float *theta = malloc(n * sizeof *theta);
    if (theta == NULL) return out_of_memory(err);
    lopt_init_theta(opt, seed, theta);
    lopt_set_theta(opt, theta);
    free(theta);
    return 1;
}

/* The seed of the run that made a theta file; 1, the default, where the file does not say. */
static uint64_t seed_of(const mt_theta *file) {
    for (int i = 0; i < file->n_notes; i++)
        if (strcmp(file->note_name[i], "seed") == 0) return strtoull(file->note_value[i], NULL, 10);
    return 1;
}

/* "runs/a/theta.h5" -> "a/theta.h5" */
static const char *short_path(const char *path) {
    const char *slash = strrchr(path, '/');
    while (slash != NULL && slash > path && slash[-1] != '/') slash--;
    return slash != NULL && slash > path ? slash : path;
}

/* "learned small-fc", or "learned a/theta.h5" where several must be told apart. */
static void name_theta(const char *word, const lopt_optimizer *opt, const char *path, int several, char *label,
                       size_t bytes) {
    snprintf(label, bytes, "%s %.80s", word, several ? short_path(path) : lopt_info(opt)->name);
}

static int add_theta(mt_comparison *c, const char *path, const char *given_label, int several, int untrained,
                     lopt_error *err) {
    mt_theta *file = mt_theta_read(path, err);
    if (file == NULL) return 0;
    int ok = 1;
    for (int before = 0; ok && before <= untrained; before++) {
        char label[96];
        name_theta(before ? "untrained" : "learned", file->optimizer, path, several, label, sizeof label);
        mt_entry *e = add_entry(c, given_label[0] != '\0' ? given_label : label);
        e->opt[0] = lopt_clone(file->optimizer);
        ok = e->opt[0] != NULL ? !before || start_theta(e->opt[0], seed_of(file), err) : out_of_memory(err);
        if (!ok) break;
        if (!before) snprintf(e->theta_path, sizeof e->theta_path, "%s", path);
        set_digest(e);
    }
    mt_theta_free(file);
    return ok;
}

/* The optimizer of a contender with learning_rate = rate in place of what its settings say. */
static lopt_optimizer *create_with_rate(const mt_contender *contender, double rate, const char *file,
                                        lopt_error *err) {
    mt_optimizer_config cfg = contender->optimizer;
    int i = 0;
    while (i < cfg.n_settings && strcmp(cfg.settings[i].name, "learning_rate") != 0) i++;
    if (i == MT_MAX_SETTINGS) {
        mt_error(err, LOPT_EARG, "%s: %s: more than %d settings", file, cfg.name, MT_MAX_SETTINGS);
        return NULL;
    }
    if (i == cfg.n_settings) cfg.n_settings++;
    snprintf(cfg.settings[i].name, sizeof cfg.settings[i].name, "learning_rate");
    snprintf(cfg.settings[i].value, sizeof cfg.settings[i].value, "%.17g", rate);
    return mt_optimizer_create(&cfg, file, err);
}

/* The optimizer that the suite describes with the theta of a file; any settings may differ but those that
 * shape theta. */
static int set_theta_from(lopt_optimizer *opt, const char *path, lopt_error *err) {
    mt_theta *file = mt_theta_read(path, err);
    if (file == NULL) return 0;
    const lopt_preset_info *theirs = lopt_info(file->optimizer), *ours = lopt_info(opt);
    int same = strcmp(theirs->kind, ours->kind) == 0 && lopt_n_theta(file->optimizer) == lopt_n_theta(opt);
    if (same)
        lopt_set_theta(opt, lopt_theta(file->optimizer));
    else
        mt_error(err, LOPT_ESHAPE, "%.200s: holds %zu weights of %s, the suite's %s has %zu", path,
                 lopt_n_theta(file->optimizer), theirs->name, ours->name, lopt_n_theta(opt));
    mt_theta_free(file);
    return same;
}

static int add_contender(mt_comparison *c, const mt_contender *contender, lopt_error *err) {
    const mt_suite *suite = c->suite;
    if (contender->optimizer.name[0] == '\0') return add_theta(c, contender->theta, contender->label, 1, 0, err);
    mt_entry *e = add_entry(c, contender->label[0] ? contender->label : contender->optimizer.name);
    snprintf(e->theta_path, sizeof e->theta_path, "%s", contender->theta);
    e->n_rates = contender->sweep ? suite->n_sweep : 1;
    for (int i = 0; i < e->n_rates; i++) {
        e->opt[i] = contender->sweep ? create_with_rate(contender, suite->sweep[i], suite->file, err)
                                     : mt_optimizer_create(&contender->optimizer, suite->file, err);
        if (e->opt[i] == NULL) return 0;
        if (contender->theta[0] != '\0' ? !set_theta_from(e->opt[i], contender->theta, err)
                                        : !start_theta(e->opt[i], suite->seed, err))
            return 0;
    }
    set_digest(e);
    return 1;
}

static int add_entries(mt_comparison *c, const char *const *thetas, int n_thetas, int untrained,
                       lopt_error *err) {
    for (int i = 0; i < n_thetas; i++)
        if (!add_theta(c, thetas[i], "", n_thetas > 1, untrained, err)) return 0;
    for (int i = 0; i < c->suite->n_contenders; i++)
        if (!add_contender(c, &c->suite->contenders[i], err)) return 0;
    if (c->n_entries > 0) return 1;
    return mt_error(err, LOPT_EARG, "%s: no contender and no theta file: nothing to compare", c->suite->file);
}

/* ---- create -------------------------------------------------------------------------------------- */

static int add_tasks(mt_comparison *c, lopt_error *err) {
    for (int i = 0; i < c->suite->n_tasks; i++) {
        if ((c->tasks[i] = task_create(&c->suite->tasks[i].spec, err)) == NULL) return 0;
        c->n_tasks++;
    }
    return 1;
}

/* Every optimizer must be able to train every task before the first of many minutes is spent. */
static int check_states(const mt_comparison *c, lopt_error *err) {
    for (int t = 0; t < c->n_tasks; t++) {
        for (int e = 0; e < c->n_entries; e++) {
            const task *one = c->tasks[t];
            lopt_state *state = lopt_state_create(c->entries[e].opt[0], one->tensors, one->n_tensors, err);
            if (state == NULL) return 0;
            lopt_state_destroy(state);
        }
    }
    return 1;
}

static int allocate_outcomes(mt_comparison *c, lopt_error *err) {
    size_t seeds = (size_t)c->suite->seeds;
    c->outcomes = calloc((size_t)c->n_tasks * (size_t)c->n_entries, sizeof *c->outcomes);
    if (c->outcomes == NULL) return out_of_memory(err);
    for (int i = 0; i < c->n_tasks * c->n_entries; i++) {
        mt_outcome *o = &c->outcomes[i];
        o->sweep_loss = calloc(MT_MAX_SWEEP, sizeof *o->sweep_loss);
        o->points = calloc(seeds * mt_curve_points(&c->plan), sizeof *o->points);
        o->seconds = calloc(seeds, sizeof *o->seconds);
        if (!o->sweep_loss || !o->points || !o->seconds) return out_of_memory(err);
    }
    return 1;
}

static void make_plans(mt_comparison *c) {
    const mt_suite *s = c->suite;
    c->plan = (mt_curve_plan){s->seed, s->steps, s->every, s->batches, s->last_batches, REPORT_SPLITS};
    c->sweep_plan = c->plan;
    c->sweep_plan.every = s->steps; /* the start and the end only */
    c->sweep_plan.splits = MT_SPLIT(TASK_INNER_VALID);
}

mt_comparison *mt_comparison_create(mt_suite *suite, const char *const *thetas, int n_thetas, int untrained,
                                    lopt_error *err) {
    mt_comparison *c = calloc(1, sizeof *c);
    if (c == NULL) {
        out_of_memory(err);
        return NULL;
    }
    c->suite = suite;
    make_plans(c);
    c->entries = calloc((size_t)(2 * n_thetas + suite->n_contenders + 1), sizeof *c->entries);
    int ok = c->entries != NULL || out_of_memory(err);
    if (ok && add_entries(c, thetas, n_thetas, untrained, err) && add_tasks(c, err) &&
        check_states(c, err) && allocate_outcomes(c, err))
        return c;
    mt_comparison_free(c);
    return NULL;
}

void mt_comparison_free(mt_comparison *c) {
    if (c == NULL) return;
    for (int i = 0; c->outcomes != NULL && i < c->n_tasks * c->n_entries; i++) {
        free(c->outcomes[i].sweep_loss);
        free(c->outcomes[i].points);
        free(c->outcomes[i].seconds);
    }
    free(c->outcomes);
    for (int i = 0; i < c->n_entries; i++)
        for (int j = 0; j < MT_MAX_SWEEP; j++) lopt_destroy(c->entries[i].opt[j]);
    free(c->entries);
    for (int i = 0; i < c->n_tasks; i++) task_destroy(c->tasks[i]);
    free(c);
}

/* ---- cells --------------------------------------------------------------------------------------- */

typedef struct cell {
    int entry, task, rate, rank;
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

static void *allocate_or_end(mt_comm *comm, size_t n, size_t bytes) {
    void *memory = calloc(n > 0 ? n : 1, bytes);
    if (memory != NULL) return memory;
    lopt_error err;
    out_of_memory(&err);
    mt_complain(&err);
    mt_comm_abort(comm, MT_FAILED);
    return NULL;
}

/* Operations of a step: the gradient's, and for each parameter a few dozen or the network's. */
static double cell_cost(const mt_comparison *c, const cell *one) {
    const task *t = c->tasks[one->task];
    const lopt_optimizer *opt = c->entries[one->entry].opt[one->rate];
    return t->flops_per_step + (double)t->n_params * (20.0 + 2.0 * (double)lopt_n_theta(opt));
}

static void add_cell(phase *p, const mt_comparison *c, cell one) {
    one.cost = cell_cost(c, &one);
    p->cells[p->n_cells++] = one;
}

static int by_cost(const void *a, const void *b) {
    const cell *x = *(const cell *const *)a, *y = *(const cell *const *)b;
    if (x->cost != y->cost) return x->cost < y->cost ? 1 : -1;
    return x < y ? -1 : 1;
}

/* Longest first, each to the rank with the least so far. */
static void deal(phase *p, mt_comm *comm) {
    double *load = allocate_or_end(comm, (size_t)comm->size, sizeof *load);
    cell **order = allocate_or_end(comm, p->n_cells, sizeof *order);
    for (size_t i = 0; i < p->n_cells; i++) order[i] = &p->cells[i];
    qsort(order, p->n_cells, sizeof *order, by_cost);
    for (size_t i = 0; i < p->n_cells; i++) {
        int rank = 0;
        for (int r = 1; r < comm->size; r++)
            if (load[r] < load[rank]) rank = r;
        order[i]->rank = rank;
        load[rank] += order[i]->cost;
    }
    free(order);
    free(load);
}

static void run_cell(const mt_comparison *c, const phase *p, size_t i, mt_comm *comm) {
    lopt_error err;
    const cell *one = &p->cells[i];
    if (!mt_evaluate(c->tasks[one->task], c->entries[one->entry].opt[one->rate], p->plan, one->seed_index,
                     &p->points[i * p->n_points], &p->seconds[i], &err)) {
        mt_complain(&err);
        mt_comm_abort(comm, MT_FAILED);
    }
    p->seconds[i] /= (double)p->plan->steps;
}

static size_t count_cells(const phase *p, int rank) {
    size_t n = 0;
    for (size_t i = 0; i < p->n_cells; i++) n += p->cells[i].rank == rank;
    return n;
}

/* Rank 0 shows its own share as that of all: the others have as much to do. */
static void run_own_cells(const mt_comparison *c, const phase *p, mt_comm *comm, mt_progress *progress) {
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
static void send_results(const phase *p, mt_comm *comm) {
    size_t own = count_cells(p, comm->rank), row = p->n_points * sizeof *p->points, at = 0;
    char *message = allocate_or_end(comm, own, row + sizeof(double));
    for (size_t i = 0; i < p->n_cells; i++) {
        if (p->cells[i].rank != comm->rank) continue;
        memcpy(message + at * row, &p->points[i * p->n_points], row);
        memcpy(message + own * row + at * sizeof(double), &p->seconds[i], sizeof(double));
        at++;
    }
    mt_comm_send(comm, 0, TAG_CELLS, message, own * (row + sizeof(double)));
    free(message);
}

static void receive_results(const phase *p, mt_comm *comm, int rank) {
    size_t own = count_cells(p, rank), row = p->n_points * sizeof *p->points, at = 0, n;
    char *message = mt_comm_receive(comm, rank, TAG_CELLS, NULL, NULL, &n);
    if (n != own * (row + sizeof(double))) {
        lopt_error err;
        mt_error(&err, LOPT_EIO, "rank %d sent %zu bytes of results, expected %zu", rank, n,
                 own * (row + sizeof(double)));
        mt_complain(&err);
        mt_comm_abort(comm, MT_FAILED);
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
static void run_phase(const mt_comparison *c, phase *p, mt_comm *comm, mt_progress *progress) {
    p->n_points = mt_curve_points(p->plan);
    p->points = allocate_or_end(comm, p->n_cells * p->n_points, sizeof *p->points);
    p->seconds = allocate_or_end(comm, p->n_cells, sizeof *p->seconds);
    deal(p, comm);
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
        if (c->entries[e].n_rates > 1) n += (size_t)c->entries[e].n_rates;
    return n * (size_t)c->n_tasks * MT_SWEEP_SEEDS;
}

static void add_sweep_cells(const mt_comparison *c, phase *p) {
    for (int t = 0; t < c->n_tasks; t++)
        for (int e = 0; e < c->n_entries; e++)
            for (int rate = 0; c->entries[e].n_rates > 1 && rate < c->entries[e].n_rates; rate++)
                for (int s = 0; s < MT_SWEEP_SEEDS; s++)
                    add_cell(p, c, (cell){.task = t, .entry = e, .rate = rate, .seed_index = SWEEP_SEED_0 + s});
}

/* The rate with the lowest mean; the first of equals; one that is not a number never. */
static int lowest(const double *loss, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (loss[i] < loss[best] || isnan(loss[best])) best = i;
    return best;
}

static void choose_rates(mt_comparison *c, const phase *p) {
    for (size_t i = 0; i < p->n_cells; i += MT_SWEEP_SEEDS) { /* the seeds of one rate lie together */
        double loss[MT_SWEEP_SEEDS];
        for (size_t s = 0; s < MT_SWEEP_SEEDS; s++)
            loss[s] = p->points[(i + s) * p->n_points + p->n_points - 1].normalised[TASK_INNER_VALID];
        const cell *one = &p->cells[i];
        mt_outcome *o = mt_comparison_outcome(c, one->task, one->entry);
        o->sweep_loss[one->rate] = mt_mean_of(loss, MT_SWEEP_SEEDS).mean;
    }
    for (int i = 0; i < c->n_tasks * c->n_entries; i++) {
        int n_rates = c->entries[i % c->n_entries].n_rates;
        c->outcomes[i].chosen = n_rates > 1 ? lowest(c->outcomes[i].sweep_loss, n_rates) : 0;
    }
}

/* Rank 0 knows the losses, every rank needs the choice. */
static void share_choices(mt_comparison *c, mt_comm *comm) {
    size_t n = (size_t)(c->n_tasks * c->n_entries), got;
    int *choice = allocate_or_end(comm, n, sizeof *choice);
    if (comm->rank == 0) {
        for (size_t i = 0; i < n; i++) choice[i] = c->outcomes[i].chosen;
        for (int rank = 1; rank < comm->size; rank++)
            mt_comm_send(comm, rank, TAG_CHOICE, choice, n * sizeof *choice);
    } else {
        free(choice);
        choice = mt_comm_receive(comm, 0, TAG_CHOICE, NULL, NULL, &got);
        for (size_t i = 0; i < n; i++) c->outcomes[i].chosen = choice[i];
    }
    free(choice);
}

static void sweep(mt_comparison *c, mt_comm *comm, mt_progress *progress) {
    phase p = {.name = "sweep", .plan = &c->sweep_plan};
    p.cells = allocate_or_end(comm, count_sweep_cells(c), sizeof *p.cells);
    add_sweep_cells(c, &p);
    run_phase(c, &p, comm, progress);
    if (comm->rank == 0) choose_rates(c, &p);
    share_choices(c, comm);
    phase_free(&p);
}

static void final_runs(mt_comparison *c, mt_comm *comm, mt_progress *progress) {
    phase p = {.name = "final", .plan = &c->plan};
    int n = c->n_tasks * c->n_entries;
    int64_t seeds = c->suite->seeds;
    p.cells = allocate_or_end(comm, (size_t)n * (size_t)seeds, sizeof *p.cells);
    for (int i = 0; i < n; i++)
        for (int64_t s = 0; s < seeds; s++)
            add_cell(&p, c, (cell){.task = i / c->n_entries, .entry = i % c->n_entries,
                                   .rate = c->outcomes[i].chosen, .seed_index = s});
    run_phase(c, &p, comm, progress);
    size_t points = (size_t)seeds * p.n_points;
    for (int i = 0; i < n; i++) {
        memcpy(c->outcomes[i].points, p.points + (size_t)i * points, points * sizeof *p.points);
        memcpy(c->outcomes[i].seconds, p.seconds + i * seeds, (size_t)seeds * sizeof *p.seconds);
    }
    phase_free(&p);
}

void mt_comparison_run(mt_comparison *c, mt_comm *comm) {
    mt_progress progress, *shown = comm->rank == 0 ? &progress : NULL;
    int64_t n = (int64_t)count_sweep_cells(c) + c->n_tasks * c->n_entries * c->suite->seeds;
    if (shown) mt_progress_start(shown, "inner training", 0, n);
    sweep(c, comm, shown);
    final_runs(c, comm, shown);
    if (shown) mt_progress_finish(shown);
}

/* ---- results ------------------------------------------------------------------------------------- */

mt_outcome *mt_comparison_outcome(const mt_comparison *c, int task_index, int entry) {
    return &c->outcomes[task_index * c->n_entries + entry];
}

mt_mean mt_mean_of(const double *values, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    mt_mean m = {sum / (double)n, NAN};
    for (size_t i = 0; i < n; i++) squares += (values[i] - m.mean) * (values[i] - m.mean);
    if (n > 1) m.error = sqrt(squares / (double)(n - 1) / (double)n);
    return m;
}

static mt_mean mean_of_last(const mt_comparison *c, const mt_outcome *o, size_t offset) {
    size_t n_points = mt_curve_points(&c->plan), seeds = (size_t)c->suite->seeds;
    double *last = calloc(seeds, sizeof *last);
    if (last == NULL) return (mt_mean){NAN, NAN};
    for (size_t s = 0; s < seeds; s++)
        last[s] = *(const double *)((const char *)&o->points[(s + 1) * n_points - 1] + offset);
    mt_mean mean = mt_mean_of(last, seeds);
    free(last);
    return mean;
}

mt_mean mt_comparison_loss(const mt_comparison *c, int task_index, int entry, task_split split) {
    const mt_outcome *o = mt_comparison_outcome(c, task_index, entry);
    return mean_of_last(c, o, offsetof(mt_point, normalised) + split * sizeof(double));
}

mt_mean mt_comparison_accuracy(const mt_comparison *c, int task_index, int entry, task_split split) {
    const mt_outcome *o = mt_comparison_outcome(c, task_index, entry);
    return mean_of_last(c, o, offsetof(mt_point, accuracy) + split * sizeof(double));
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mt_comparison_step_seconds(const mt_comparison *c, int task_index, int entry) {
    const double *seconds = mt_comparison_outcome(c, task_index, entry)->seconds;
    size_t n = (size_t)c->suite->seeds;
    double *sorted = malloc(n * sizeof *sorted);
    if (sorted == NULL) return NAN;
    memcpy(sorted, seconds, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    double median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
    free(sorted);
    return median;
}
