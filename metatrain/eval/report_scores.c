/* SPDX-License-Identifier: Apache-2.0
 *
 * report_scores.c - see report_scores.h. */
#include "eval/report_scores.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "eval/scores.h"

enum { SCORE_BYTES = 64 };

/* "1.02 [0.98, 1.06]" */
static void write_interval(char cell[SCORE_BYTES], mt_interval i) {
    int n = snprintf(cell, SCORE_BYTES, "%.2f", i.value);
    if (isfinite(i.low) && isfinite(i.high))
        snprintf(cell + n, (size_t)(SCORE_BYTES - n), " [%.2f, %.2f]", i.low, i.high);
}

/* Entries by the IQM of their final-loss scores, the best first. order[n_entries] */
static void sort_by_score(const mt_entry_scores *s, int n, int *order) {
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && s[order[at - 1]].final_loss.iqm.value < s[i].final_loss.iqm.value; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static int most_trials(const mt_results *r, int e) {
    int most = 0;
    for (int t = 0; t < r->n_tasks; t++)
        if (mt_result_at(r, t, e)->n_trials > most) most = mt_result_at(r, t, e)->n_trials;
    return most;
}

static void add_score_table(mt_document *d, const mt_results *r, const mt_entry_scores *s, const int *order) {
    static const mt_column columns[] = {
        {"optimizer", 'l'}, {"final loss", 'r'}, {"speed-up", 'r'}, {"better than Adam", 'r'},
        {"won", 'r'},       {"tied", 'r'},       {"lost", 'r'},     {"diverged", 'r'},
        {"trials", 'r'}};
    mt_add_table(d, "Scores over all tasks", columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < r->n_entries; i++) {
        const mt_entry_scores *one = &s[order[i]];
        int counts[] = {one->won, one->tied, one->lost, one->diverged, most_trials(r, order[i])};
        char cells[8][SCORE_BYTES];
        write_interval(cells[0], one->final_loss.iqm);
        write_interval(cells[1], one->speed_up.iqm);
        write_interval(cells[2], one->improvement);
        for (int k = 0; k < 5; k++) snprintf(cells[3 + k], SCORE_BYTES, "%d", counts[k]);
        mt_add_row(d, (const char *[]){r->entries[order[i]].label, cells[0], cells[1], cells[2], cells[3], cells[4],
                                       cells[5], cells[6], cells[7]});
    }
}

/* Share of runs above each score. which: offset of the aggregates in mt_entry_scores */
static void add_profile(mt_document *d, const mt_results *r, const mt_entry_scores *s, const int *order, size_t which,
                        const char *name, const char *caption) {
    mt_figure *figure = mt_add_figure(d, name, caption);
    for (int i = 0; figure != NULL && i < r->n_entries; i++) {
        const mt_aggregates *a = (const void *)((const char *)&s[order[i]] + which);
        double *numbers = mt_add_curve(figure, r->entries[order[i]].label, MT_PROFILE_POINTS, order[i]);
        if (numbers == NULL) d->failed = 1;
        for (size_t k = 0; numbers != NULL && k < MT_PROFILE_POINTS; k++) {
            numbers[k] = mt_profile_threshold(k);
            numbers[MT_PROFILE_POINTS + k] = a->profile[k].value;
            numbers[2 * MT_PROFILE_POINTS + k] = a->profile[k].low;
            numbers[3 * MT_PROFILE_POINTS + k] = a->profile[k].high;
        }
    }
    if (figure == NULL) return;
    figure->chart.x_label = "score";
    figure->chart.y_label = "share of runs above it";
    figure->chart.y_max = 1.02;
}

/* ---- score and size of the task ------------------------------------------------------------------ */

/* Tasks by their parameters, equal ones in the order of the suite. order[n_tasks]. Returns how many sizes differ. */
static int sort_by_size(const mt_results *r, int *order) {
    int sizes = 1;
    for (int i = 0; i < r->n_tasks; i++) {
        int at = i;
        for (; at > 0 && r->tasks[order[at - 1]].n_params > r->tasks[i].n_params; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 1; i < r->n_tasks; i++) sizes += r->tasks[order[i]].n_params != r->tasks[order[i - 1]].n_params;
    return sizes;
}

static void add_size_curve(mt_document *d, mt_figure *figure, const mt_results *r, const mt_entry_scores *s, int e,
                           const int *order) {
    size_t n = (size_t)r->n_tasks;
    double *numbers = mt_add_curve(figure, r->entries[e].label, n, e);
    if (numbers == NULL) d->failed = 1;
    for (size_t i = 0; numbers != NULL && i < n; i++) {
        mt_interval ratio = s[e].tasks[order[i]].log_ratio;
        numbers[i] = (double)r->tasks[order[i]].n_params;
        numbers[n + i] = exp(ratio.value);
        figure->chart.y_min = fmin(figure->chart.y_min, numbers[n + i]);
        figure->chart.y_max = fmax(figure->chart.y_max, numbers[n + i]);
    }
    if (numbers != NULL) figure->curves[figure->chart.n_curves - 1].marks = 1;
}

static void add_generalisation(mt_document *d, const mt_results *r, const mt_entry_scores *s, const int *order,
                               int number, int level) {
    char name[SCORE_BYTES];
    int *tasks = calloc((size_t)r->n_tasks, sizeof *tasks);
    if (tasks == NULL) d->failed = 1;
    if (tasks != NULL && sort_by_size(r, tasks) > 1) {
        mt_add_heading(d, level, "Generalisation");
        mt_add_paragraph(d,
                         "Tasks by their number of parameters. Ratio: final validation loss of the reference over the "
                         "optimizer's own, geometric mean over seeds; above 1 is better.");
        snprintf(name, sizeof name, "results%d-generalisation", number);
        mt_figure *figure = mt_add_figure(d, name, "Ratio of final losses and size of the task");
        if (figure != NULL) {
            figure->chart.y_min = figure->chart.y_max = 1;
            figure->chart.log_x = 1;
            figure->chart.x_label = "parameters of the task";
            figure->chart.y_label = "reference / own final loss";
        }
        for (int i = 0; figure != NULL && i < r->n_entries; i++) add_size_curve(d, figure, r, s, order[i], tasks);
        if (figure != NULL) mt_set_value_axis(figure, figure->chart.y_min, figure->chart.y_max);
    }
    free(tasks);
}

/* ---- all ----------------------------------------------------------------------------------------- */

static void add_summary(mt_document *d, const mt_results *r, const mt_entry_scores *s, const int *order,
                        const char *path, int number, int level) {
    char name[SCORE_BYTES];
    mt_add_paragraph(
        d,
        "%s: tasks: %d, seeds: %lld, inner steps: %lld. Every run is compared with the run of %s, the reference, that "
        "has the same task and seed, by validation loss. Above 1 is better than the reference.",
        path, r->n_tasks, (long long)r->seeds, (long long)r->steps, r->entries[mt_find_reference(r)].label);
    add_score_table(d, r, s, order);
    mt_add_paragraph(
        d, "Final loss: the reference's over its own. Speed-up: the reference's steps over its own until the "
           "reference's final loss is reached; 0 if it never is. Both: interquartile mean over runs with 95 %% "
           "interval. Better than Adam: the probability that a run's final loss is better than one of the "
           "reference. Won, tied, lost: tasks. Diverged: runs. Trials: settings tried on a task.");
    mt_add_paragraph(
        d, "Performance profiles: the share of runs that score above a value, with 95 %% intervals. Higher is "
           "better.");
    snprintf(name, sizeof name, "results%d-profile-loss", number);
    add_profile(d, r, s, order, offsetof(mt_entry_scores, final_loss), name, "Final loss");
    snprintf(name, sizeof name, "results%d-profile-speed", number);
    add_profile(d, r, s, order, offsetof(mt_entry_scores, speed_up), name, "Speed-up");
    add_generalisation(d, r, s, order, number, level);
}

void mt_report_scores(mt_document *d, const mt_results *r, const char *path, int number, int level) {
    lopt_error err = {LOPT_OK, ""};
    mt_entry_scores *s = mt_score_entries(r, TASK_OUTER_VALID, &err);
    int *order = calloc((size_t)r->n_entries, sizeof *order);
    mt_add_heading(d, level, "Summary");
    if (s == NULL || order == NULL) {
        mt_add_paragraph(d, "%s: %s", path, s == NULL ? err.text : "out of memory");
    } else {
        sort_by_score(s, r->n_entries, order);
        add_summary(d, r, s, order, path, number, level);
    }
    free(order);
    free(s);
}
