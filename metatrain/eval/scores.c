/* SPDX-License-Identifier: Apache-2.0
 *
 * scores.c - see scores.h. */
#include "eval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text_table.h"

/* Streams of the bootstrap; part of "same results, same bits": append, never renumber. */
enum { OF_FINAL_LOSS, OF_SPEED_UP, OF_INVERSE_CURVE, OF_LOG_RATIO, OF_IMPROVEMENT };

typedef struct scorer {
    const mt_results *r;
    task_split split;
    int reference;
    size_t runs, tasks, cells;
    double *x, *curve;  /* [n_points] */
    double *target;     /* [seeds][n_tasks] final smoothed loss of the reference, NaN if it diverged */
    double *envelope;   /* [n_tasks][n_points] of the reference: see inverse_curve */
    double *log_ratios; /* [seeds][n_tasks] of an entry */
} scorer;

/* ---- runs ---------------------------------------------------------------------------------------- */

static void read_losses(const scorer *s, int task_index, int entry, int64_t seed, double *losses) {
    const mt_point *points = &mt_result_at(s->r, task_index, entry)->points[(size_t)seed * s->r->n_points];
    for (size_t i = 0; i < s->r->n_points; i++) losses[i] = points[i].loss[s->split];
}

static double last_loss(const scorer *s, int task_index, int entry, int64_t seed) {
    return mt_last_point(s->r, task_index, entry, seed)->loss[s->split];
}

/* The smoothed curve of a run is in s->curve afterwards. Returns its end, NaN if the run diverged. */
static double smooth_run(scorer *s, int task_index, int entry, int64_t seed) {
    read_losses(s, task_index, entry, seed, s->curve);
    mt_smooth_curve(s->r->n_points, s->curve, 0.9, s->curve);
    return isfinite(last_loss(s, task_index, entry, seed)) ? s->curve[s->r->n_points - 1] : NAN;
}

/* Of the curve in s->curve. */
static double speed_up_of(const scorer *s, double target) {
    for (size_t i = 1; i < s->r->n_points; i++)
        if (s->curve[i] <= target) return (double)s->r->steps / s->x[i];
    return 0;
}

static double log_of_loss(double loss) {
    return isnan(loss) ? INFINITY : log(fmax(loss, 0));
}

static double log_ratio_of(double target, double own) {
    double a = log_of_loss(target), b = log_of_loss(own), most = log(MT_LARGEST_RATIO);
    return a == b ? 0 : fmin(fmax(a - b, -most), most);
}

/* ---- entries ------------------------------------------------------------------------------------- */

static void fill_envelope(scorer *s, int task_index, double *y) {
    size_t n = s->r->n_points;
    for (size_t i = 0; i < n; i++) y[i] = 0;
    for (int64_t seed = 0; seed < s->r->seeds; seed++) {
        read_losses(s, task_index, s->reference, seed, s->curve);
        for (size_t i = 0; i < n; i++) y[i] += s->curve[i] / (double)s->r->seeds;
    }
    mt_smooth_curve(n, y, 0.95, y);
    for (size_t i = 0; i < n; i++) y[i] = fmin(isnan(y[i]) ? INFINITY : y[i], i ? y[i - 1] : INFINITY);
}

static void read_reference(scorer *s) {
    for (size_t i = 0; i < s->r->n_points; i++) s->x[i] = (double)s->r->x[i];
    for (int task_index = 0; task_index < s->r->n_tasks; task_index++) {
        fill_envelope(s, task_index, s->envelope + (size_t)task_index * s->r->n_points);
        for (int64_t seed = 0; seed < s->r->seeds; seed++)
            s->target[(size_t)seed * s->tasks + (size_t)task_index] = smooth_run(s, task_index, s->reference, seed);
    }
}

static void score_runs(scorer *s, int entry, double *final_loss, double *speed_up, double *inverse_curve) {
    size_t n = s->r->n_points;
    for (int task_index = 0; task_index < s->r->n_tasks; task_index++)
        for (int64_t seed = 0; seed < s->r->seeds; seed++) {
            size_t cell = (size_t)seed * s->tasks + (size_t)task_index;
            double target = s->target[cell], own = smooth_run(s, task_index, entry, seed);
            final_loss[cell] = isfinite(target) && own > 0 ? target / own : 0;
            speed_up[cell] = isnan(own) ? 0 : speed_up_of(s, target);
            inverse_curve[cell] = isnan(own) ? 0
                                             : mt_invert_curve(n, s->x, s->envelope + (size_t)task_index * n,
                                                               last_loss(s, task_index, entry, seed)) /
                                                   (double)s->r->steps;
            s->log_ratios[cell] = log_ratio_of(target, own);
        }
}

static mt_verdict verdict_of(mt_interval i) {
    double low = isnan(i.low) ? i.value : i.low, high = isnan(i.high) ? i.value : i.high;
    return low > 0 ? MT_WON : high < 0 ? MT_LOST : MT_TIED;
}

/* Of the log ratios in s. column[seeds] is scratch. */
static void judge_tasks(const scorer *s, int entry, double *column, mt_task_score *tasks, mt_entry_scores *out) {
    for (int task_index = 0; task_index < s->r->n_tasks; task_index++) {
        mt_task_score *t = &tasks[task_index];
        for (int64_t seed = 0; seed < s->r->seeds; seed++) {
            column[seed] = s->log_ratios[(size_t)seed * s->tasks + (size_t)task_index];
            t->diverged += !isfinite(last_loss(s, task_index, entry, seed));
        }
        t->log_ratio = mt_estimate_mean(s->runs, column);
        t->verdict = verdict_of(t->log_ratio);
        out->won += t->verdict == MT_WON;
        out->tied += t->verdict == MT_TIED;
        out->lost += t->verdict == MT_LOST;
        out->diverged += t->diverged;
    }
    out->tasks = tasks;
}

static int aggregate_runs(const scorer *s, uint64_t stream, const double *scores, mt_aggregates *out, lopt_error *err) {
    mt_bootstrap b = {.seed = s->r->seed, .stream = stream, .replicates = MT_REPLICATES};
    return mt_aggregate_scores(s->runs, s->tasks, scores, &b, out, err);
}

static int estimate_entry(const scorer *s, const mt_entry_scores *reference, mt_entry_scores *e, lopt_error *err) {
    mt_bootstrap b = {.seed = s->r->seed, .stream = OF_IMPROVEMENT, .replicates = MT_REPLICATES};
    mt_aggregates log_ratio;
    int ok =
        aggregate_runs(s, OF_FINAL_LOSS, e->final_losses, &e->final_loss, err) &&
        aggregate_runs(s, OF_SPEED_UP, e->speed_ups, &e->speed_up, err) &&
        aggregate_runs(s, OF_INVERSE_CURVE, e->inverse_curves, &e->inverse_curve, err) &&
        aggregate_runs(s, OF_LOG_RATIO, s->log_ratios, &log_ratio, err) &&
        mt_estimate_improvement(s->runs, s->tasks, e->final_losses, reference->final_losses, &b, &e->improvement, err);
    if (ok) e->log_ratio = log_ratio.mean;
    return ok;
}

/* The reference first: others are compared with its scores. */
static int fill_entries(scorer *s, mt_entry_scores *entries, double *scores, mt_task_score *tasks, double *column,
                        lopt_error *err) {
    int ok = 1;
    for (int i = 0; ok && i < s->r->n_entries; i++) {
        int entry = i == 0 ? s->reference : i <= s->reference ? i - 1 : i;
        mt_entry_scores *e = &entries[entry];
        double *own = scores + (size_t)entry * 3 * s->cells;
        e->final_losses = own;
        e->speed_ups = own + s->cells;
        e->inverse_curves = own + 2 * s->cells;
        score_runs(s, entry, own, own + s->cells, own + 2 * s->cells);
        judge_tasks(s, entry, column, tasks + (size_t)entry * s->tasks, e);
        ok = estimate_entry(s, &entries[s->reference], e, err);
    }
    return ok;
}

mt_entry_scores *mt_score_entries(const mt_results *r, task_split split, lopt_error *err) {
    scorer s = {.r = r, .split = split, .reference = mt_find_reference(r)};
    if (s.reference < 0) {
        mt_error(err, LOPT_EARG, "scores: no optimizer of the evaluation is adam, which the others are compared with");
        return NULL;
    }
    s.runs = (size_t)r->seeds;
    s.tasks = (size_t)r->n_tasks;
    s.cells = s.runs * s.tasks;
    size_t n = r->n_points, entries = (size_t)r->n_entries;
    mt_entry_scores *out =
        calloc(1, entries * (sizeof *out + s.tasks * sizeof(mt_task_score) + 3 * s.cells * sizeof(double)));
    double *scratch = malloc(((2 + s.tasks) * n + 2 * s.cells + s.runs) * sizeof *scratch);
    int ok = out != NULL && scratch != NULL;
    if (ok) {
        mt_task_score *tasks = (mt_task_score *)(out + entries);
        s.x = scratch;
        s.curve = s.x + n;
        s.envelope = s.curve + n;
        s.target = s.envelope + s.tasks * n;
        s.log_ratios = s.target + s.cells;
        read_reference(&s);
        ok = fill_entries(&s, out, (double *)(tasks + entries * s.tasks), tasks, s.log_ratios + s.cells, err);
    } else {
        mt_error(err, LOPT_ENOMEM, "scores: out of memory");
    }
    free(scratch);
    if (!ok) free(out);
    return ok ? out : NULL;
}

/* ---- the table ----------------------------------------------------------------------------------- */

enum { CELL = 160, LABEL = 36 /* characters that fit */ };

static void format_score(double value, char text[CELL]) {
    snprintf(text, CELL, fabs(value) < 99.995 ? "%.2f" : "%.2g", value);
}

static void format_interval(mt_interval i, char text[CELL]) {
    char low[CELL], high[CELL];
    text[0] = '\0';
    if (isnan(i.low)) return;
    format_score(i.low, low);
    format_score(i.high, high);
    snprintf(text, CELL, "%.20s-%.20s", low, high);
}

/* UTF-8 of at most LABEL characters. */
static void shorten_label(const char *label, char text[CELL]) {
    size_t bytes = 0, kept = 0;
    int characters = 0;
    for (; label[bytes]; bytes++) {
        if (((unsigned char)label[bytes] & 0xc0) == 0x80) continue;
        if (characters++ == LABEL - 1) kept = bytes;
    }
    if (characters > LABEL)
        snprintf(text, CELL, "%.*s…", (int)kept, label);
    else
        snprintf(text, CELL, "%s", label);
}

static void add_summary_row(mt_text_table *table, const char *label, const mt_entry_scores *e, int is_reference) {
    char name[CELL], iqm[CELL], interval[CELL], speed_up[CELL], tasks[CELL] = "reference", diverged[CELL];
    shorten_label(label, name);
    format_score(e->final_loss.iqm.value, iqm);
    format_interval(e->final_loss.iqm, interval);
    format_score(e->speed_up.iqm.value, speed_up);
    if (!is_reference) snprintf(tasks, sizeof tasks, "%d/%d/%d", e->won, e->tied, e->lost);
    snprintf(diverged, sizeof diverged, "%d", e->diverged);
    mt_text_table_row(table, (const char *[]){name, iqm, interval, speed_up, tasks, diverged});
}

/* Rows by the IQM of final_loss, equal ones in the order of the results. */
static void add_summary_rows(mt_text_table *table, const mt_results *r, const mt_entry_scores *scores, int reference) {
    double above = INFINITY;
    int last = -1;
    for (int row = 0; row < r->n_entries; row++) {
        int next = -1; /* the best that comes after (above, last) */
        for (int i = 0; i < r->n_entries; i++) {
            double iqm = scores[i].final_loss.iqm.value;
            int after = iqm < above || (iqm == above && i > last);
            if (after && (next < 0 || iqm > scores[next].final_loss.iqm.value)) next = i;
        }
        if (next < 0) return;
        add_summary_row(table, r->entries[next].label, &scores[next], next == reference);
        above = scores[next].final_loss.iqm.value;
        last = next;
    }
}

/* A sweep may have been extended on some tasks alone. */
static void print_reference(const mt_results *r, int reference, FILE *f) {
    char label[CELL];
    int least = mt_result_at(r, 0, reference)->n_trials, most = least;
    for (int task_index = 1; task_index < r->n_tasks; task_index++) {
        int trials = mt_result_at(r, task_index, reference)->n_trials;
        if (trials < least) least = trials;
        if (trials > most) most = trials;
    }
    shorten_label(r->entries[reference].label, label);
    fprintf(f, "reference: %s, its rate ", label);
    if (most == 1)
        fprintf(f, "not tuned\n\n");
    else if (least == most)
        fprintf(f, "the best of %d on %lld other seeds\n\n", most, (long long)r->sweep_seeds);
    else
        fprintf(f, "the best of %d to %d on %lld other seeds\n\n", least, most, (long long)r->sweep_seeds);
}

/* "sgd diverged on fashion_mnist (2 of 5), quadratic (1 of 5)", in lines of 100 columns. */
static void print_diverged(const mt_results *r, int entry, const mt_entry_scores *s, FILE *f) {
    char name[CELL];
    shorten_label(r->entries[entry].label, name);
    int column = fprintf(f, "%s diverged on", name), listed = 0;
    for (int task_index = 0; task_index < r->n_tasks; task_index++) {
        char runs[2 * CELL];
        if (s->tasks[task_index].diverged == 0) continue;
        shorten_label(r->tasks[task_index].name, name);
        int n =
            snprintf(runs, sizeof runs, " %s (%d of %lld)", name, s->tasks[task_index].diverged, (long long)r->seeds);
        int turn = column + n + 2 > 100; /* a comma before and after */
        column = turn ? n + 3 : column + n + 1;
        fprintf(f, "%s%s%s", listed++ ? "," : "", turn ? "\n   " : "", runs);
    }
    fputc('\n', f);
}

void mt_print_scores(const mt_results *r, FILE *f) {
    static const mt_column columns[] = {{"optimizer", 'l'}, {"final loss", 'r'},    {"95 %", 'r'},
                                        {"speed-up", 'r'},  {"won/tied/lost", 'r'}, {"diverged", 'r'}};
    lopt_error err = {0};
    int reference = mt_find_reference(r);
    if (reference < 0) {
        fprintf(f, "No scores over tasks: they compare with adam, which is not among the optimizers.\n");
        return;
    }
    mt_entry_scores *scores = mt_score_entries(r, TASK_OUTER_VALID, &err);
    mt_text_table *table = mt_text_table_create(columns, sizeof columns / sizeof *columns);
    if (!mt_warn_on_error(scores != NULL, &err) || table == NULL) {
        free(scores);
        mt_text_table_free(table);
        return;
    }
    fprintf(f, "Over all tasks (%d), with %lld seeds: scores by validation loss\n", r->n_tasks, (long long)r->seeds);
    print_reference(r, reference, f);
    add_summary_rows(table, r, scores, reference);
    mt_text_table_print(table, f);
    fprintf(f,
            "\nfinal loss: the reference's / own, interquartile mean over runs and its 95 %% interval\n"
            "speed-up: steps / steps to the reference's final loss (0: not reached), interquartile mean\n"
            "won, lost: tasks where %s of log(loss of the reference / own) %s 0\n"
            "diverged: runs of %lld, with scores 0\n",
            r->seeds > 1 ? "the 95 % interval" : "the value (one seed has no interval)",
            r->seeds > 1 ? "excludes" : "is not", (long long)r->seeds * r->n_tasks);
    for (int i = 0; i < r->n_entries; i++)
        if (scores[i].diverged > 0) print_diverged(r, i, &scores[i], f);
    mt_text_table_free(table);
    free(scores);
}
