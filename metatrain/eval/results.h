/* SPDX-License-Identifier: Apache-2.0
 *
 * results.h - what an evaluation found: plain numbers, without tasks or optimizers that could run. Tables, scores,
 * reports and plots read this and nothing else.
 *
 *     mt_results *r = mt_results_create(n_tasks, n_entries, seeds, n_points, &err);   filled by comparison.c
 *     mt_results_write(r, "runs/compare", &err)          results.json and timing.json in a folder
 *     mt_results *r = mt_results_read("runs/compare", &err);
 *     mt_results_free(r);
 *
 * results.json has the same bytes for any number of ranks; times stand in timing.json, which may be missing when read
 * (times are NaN then). NaN and infinity are null in JSON and NaN when read. */
#ifndef MT_RESULTS_H
#define MT_RESULTS_H

#include <stdio.h>

#include "eval/training_curve.h"

typedef struct mt_result_task {
    char name[256];
    int64_t n_params;
    double flops_per_step, loss_bound; /* loss_bound: infinite where there is none */
} mt_result_task;

/* A line of the tables. */
typedef struct mt_result_entry {
    char label[96], optimizer[64]; /* optimizer: name of the preset */
    char theta_path[1024];         /* "" if theta is not from a file */
    char digest[33];               /* of theta; "" for a hand-designed optimizer */
    int learned, n_theta;
    int searched; /* trials are rows of search_seed (nadamw_search.h), else learning rates */
    uint64_t search_seed;
} mt_result_entry;

/* What an entry did on a task. */
typedef struct mt_result {
    int n_trials, chosen; /* 1 trial: nothing was tuned */
    double *trial_rate;   /* [n_trials] learning rate; NaN: the optimizer has none */
    double *trial_loss;   /* [n_trials] mean over sweep seeds, inner validation, after the last step; NaN if 1 trial */
    int at_end;           /* the chosen rate is the lowest (-1) or highest (1) that was tried */
    char settings[1024];  /* of the chosen row of a search, as JSON; "" without one */
    mt_point *points;     /* [seeds][n_points] */
    double *seconds;      /* [seeds] one inner step: batch, loss, gradient and optimizer */
    double state_bytes;   /* of the optimizer, per parameter of the task */
} mt_result;

typedef struct mt_results {
    char version[64], kernels[64], command[1024]; /* command: what made it, "" if not known */
    uint64_t seed;
    int64_t steps, seeds, sweep_seeds, every, batches, last_batches;
    size_t n_points;
    int64_t *x; /* [n_points] inner steps */
    int n_tasks, n_entries;
    mt_result_task *tasks;
    mt_result_entry *entries;
    mt_result *results; /* [n_tasks][n_entries] */
} mt_results;

mt_results *mt_results_create(int n_tasks, int n_entries, int64_t seeds, size_t n_points, lopt_error *err);
void mt_results_free(mt_results *r);
/* Trials of a result, allocated here; 0: out of memory. */
int mt_result_set_trials(mt_result *result, int n_trials, lopt_error *err);

static inline mt_result *mt_result_at(const mt_results *r, int task_index, int entry) {
    return &r->results[task_index * r->n_entries + entry];
}
static inline const mt_point *mt_last_point(const mt_results *r, int task_index, int entry, int64_t seed) {
    return &mt_result_at(r, task_index, entry)->points[(size_t)(seed + 1) * r->n_points - 1];
}
/* Index of the first Adam whose learning rate was tuned, else of the first Adam, else -1: what others are compared with. */
int mt_find_reference(const mt_results *r);

typedef struct mt_mean {
    double mean, error; /* error: standard error of the mean; NaN for one seed */
} mt_mean;
mt_mean mt_mean_of(const double *values, size_t n); /* NaN and inf pass through */
/* Over the seeds, after the last step; of the loss that is clipped to the task's bound. */
mt_mean mt_mean_loss(const mt_results *r, int task_index, int entry, task_split split);
mt_mean mt_mean_accuracy(const mt_results *r, int task_index, int entry, task_split split);
double mt_median_seconds(const mt_results *r, int task_index, int entry); /* of an inner step, over the seeds */
/* The chosen rate; NaN for a learned optimizer that nobody tuned: it sets its own steps. */
double mt_chosen_rate(const mt_results *r, int task_index, int entry);

double mt_adam_seconds(const mt_results *r, int task_index); /* of the first Adam; NaN: there is none */
/* Entries by validation loss, equal ones in the order of the suite; NaN comes last. order[n_entries] */
void mt_sort_entries(const mt_results *r, int task_index, int *order);

/* results_table.c: a table for each task. */
void mt_print_tables(const mt_results *r, FILE *f);
/* results_plot.c: validation loss against inner step, for each task. */
int mt_plot_results(const mt_results *r, const char *svg_path, lopt_error *err);

int mt_results_write(const mt_results *r, const char *dir, lopt_error *err);
/* path: the folder, or results.json in it. NULL and a sentence (file, key, found, expected). */
mt_results *mt_results_read(const char *path, lopt_error *err);

#endif
