/* SPDX-License-Identifier: Apache-2.0
 *
 * results.c - see results.h. */
#include "eval/results.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int report_allocation(lopt_error *err) {
    return mt_error(err, LOPT_ENOMEM, "out of memory for results");
}

/* ---- memory -------------------------------------------------------------------------------------- */

mt_results *mt_results_create(int n_tasks, int n_entries, int64_t seeds, size_t n_points, lopt_error *err) {
    mt_results *r = calloc(1, sizeof *r);
    if (!r) return report_allocation(err), NULL;
    size_t n = (size_t)n_tasks * (size_t)n_entries;
    *r = (mt_results){.seeds = seeds, .n_points = n_points, .n_tasks = n_tasks, .n_entries = n_entries};
    r->x = calloc(n_points + 1, sizeof *r->x);
    r->tasks = calloc((size_t)n_tasks + 1, sizeof *r->tasks);
    r->entries = calloc((size_t)n_entries + 1, sizeof *r->entries);
    r->results = calloc(n + 1, sizeof *r->results);
    int ok = r->x && r->tasks && r->entries && r->results;
    for (size_t i = 0; ok && i < n; i++) {
        r->results[i].points = calloc((size_t)seeds * n_points + 1, sizeof *r->results[i].points);
        r->results[i].seconds = calloc((size_t)seeds + 1, sizeof *r->results[i].seconds);
        ok = r->results[i].points && r->results[i].seconds;
    }
    if (ok) return r;
    mt_results_free(r);
    report_allocation(err);
    return NULL;
}

void mt_results_free(mt_results *r) {
    if (!r) return;
    for (int i = 0; r->results && i < r->n_tasks * r->n_entries; i++) {
        free(r->results[i].trial_rate);
        free(r->results[i].trial_loss);
        free(r->results[i].points);
        free(r->results[i].seconds);
    }
    free(r->x);
    free(r->tasks);
    free(r->entries);
    free(r->results);
    free(r);
}

int mt_result_set_trials(mt_result *result, int n_trials, lopt_error *err) {
    double *rate = realloc(result->trial_rate, (size_t)n_trials * sizeof *rate);
    if (rate) result->trial_rate = rate;
    double *loss = realloc(result->trial_loss, (size_t)n_trials * sizeof *loss);
    if (loss) result->trial_loss = loss;
    if (!rate || !loss) return report_allocation(err);
    for (int i = result->n_trials; i < n_trials; i++) rate[i] = loss[i] = NAN;
    result->n_trials = n_trials;
    return 1;
}

/* ---- numbers ------------------------------------------------------------------------------------- */

/* Tuned on some task: a sweep may have been extended on some of them alone, never cut. */
int mt_find_reference(const mt_results *r) {
    int first = -1;
    for (int i = 0; i < r->n_entries; i++) {
        if (strcmp(r->entries[i].optimizer, "adam") != 0) continue;
        if (r->n_tasks > 0 && mt_result_at(r, 0, i)->n_trials > 1) return i;
        if (first < 0) first = i;
    }
    return first;
}

mt_mean mt_mean_of(const double *values, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    mt_mean m = {sum / (double)n, NAN};
    for (size_t i = 0; i < n; i++) squares += (values[i] - m.mean) * (values[i] - m.mean);
    if (n > 1) m.error = sqrt(squares / (double)(n - 1) / (double)n);
    return m;
}

static mt_mean mean_of_last(const mt_results *r, int task_index, int entry, size_t offset) {
    size_t seeds = (size_t)r->seeds;
    double *last = calloc(seeds + 1, sizeof *last);
    if (!last) return (mt_mean){NAN, NAN};
    for (size_t s = 0; s < seeds; s++)
        last[s] =
            *(const double *)(const void *)((const char *)mt_last_point(r, task_index, entry, (int64_t)s) + offset);
    mt_mean mean = mt_mean_of(last, seeds);
    free(last);
    return mean;
}

mt_mean mt_mean_loss(const mt_results *r, int task_index, int entry, task_split split) {
    return mean_of_last(r, task_index, entry, offsetof(mt_point, normalised) + split * sizeof(double));
}

mt_mean mt_mean_accuracy(const mt_results *r, int task_index, int entry, task_split split) {
    return mean_of_last(r, task_index, entry, offsetof(mt_point, accuracy) + split * sizeof(double));
}

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mt_median_seconds(const mt_results *r, int task_index, int entry) {
    size_t n = (size_t)r->seeds;
    double *sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted) return NAN;
    memcpy(sorted, mt_result_at(r, task_index, entry)->seconds, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_seconds);
    double median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
    free(sorted);
    return median;
}

double mt_chosen_rate(const mt_results *r, int task_index, int entry) {
    const mt_result *one = mt_result_at(r, task_index, entry);
    return one->trial_rate[one->chosen];
}

double mt_adam_seconds(const mt_results *r, int task_index) {
    for (int i = 0; i < r->n_entries; i++)
        if (strcmp(r->entries[i].optimizer, "adam") == 0) return mt_median_seconds(r, task_index, i);
    return NAN;
}

static double read_valid_loss(const mt_results *r, int task_index, int entry) {
    return mt_mean_loss(r, task_index, entry, TASK_OUTER_VALID).mean;
}

void mt_sort_entries(const mt_results *r, int task_index, int *order) {
    for (int i = 0; i < r->n_entries; i++) {
        double loss = read_valid_loss(r, task_index, i);
        int at = i;
        for (; at > 0; at--) {
            double before = read_valid_loss(r, task_index, order[at - 1]);
            if (before <= loss || (isnan(loss) && !isnan(before))) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}
