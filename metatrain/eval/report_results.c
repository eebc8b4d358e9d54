/* SPDX-License-Identifier: Apache-2.0
 *
 * report_results.c - see report_results.h. */
#include "eval/report_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/report_scores.h"

enum { CELL_BYTES = 64, LABEL_BYTES = 160 };

/* ---- cells --------------------------------------------------------------------------------------- */

static void put_mean_cell(char cell[CELL_BYTES], mt_mean m, double scale) {
    double mean = scale * m.mean, error = scale * m.error;
    int fixed = fabs(mean) >= 0.01 && fabs(mean) < 1000;
    cell[0] = '\0';
    if (!isnan(mean)) snprintf(cell, CELL_BYTES, fixed ? scale > 1 ? "%.1f" : "%.3f" : "%.2e", mean);
    size_t n = strlen(cell);
    if (n > 0 && isfinite(error))
        snprintf(cell + n, CELL_BYTES - n, fixed ? scale > 1 ? "±%.1f" : "±%.3f" : "±%.0e", error);
}

static void put_real_cell(char cell[CELL_BYTES], const char *format, double value) {
    cell[0] = '\0';
    if (isfinite(value)) snprintf(cell, CELL_BYTES, format, value);
}

/* "adam 0.01" */
static void put_entry_label(char label[LABEL_BYTES], const mt_results *r, int t, int e) {
    double rate = mt_chosen_rate(r, t, e);
    int n = snprintf(label, LABEL_BYTES, "%s", r->entries[e].label);
    if (isfinite(rate)) snprintf(label + n, (size_t)(LABEL_BYTES - n), " %g", rate);
}

/* ---- tables -------------------------------------------------------------------------------------- */

static void add_task_table(mt_document *d, const mt_results *r, int t) {
    static const mt_column columns[] = {{"optimizer", 'l'},  {"rate", 'r'},       {"trials", 'r'},
                                        {"train loss", 'r'}, {"valid loss", 'r'}, {"test loss", 'r'},
                                        {"accuracy %", 'r'}};
    static const task_split splits[] = {TASK_TRAIN, TASK_OUTER_VALID, TASK_TEST};
    int *order = calloc((size_t)r->n_entries, sizeof *order);
    char title[512];
    snprintf(title, sizeof title, "%s, %lld parameters", r->tasks[t].name, (long long)r->tasks[t].n_params);
    mt_add_table(d, title, columns, sizeof columns / sizeof *columns);
    if (order == NULL) d->failed = 1;
    if (order != NULL) mt_sort_entries(r, t, order);
    for (int i = 0; order != NULL && i < r->n_entries; i++) {
        const mt_result *one = mt_result_at(r, t, order[i]);
        char rate[CELL_BYTES], trials[CELL_BYTES], loss[3][CELL_BYTES], accuracy[CELL_BYTES];
        put_real_cell(rate, one->at_end ? "%g*" : "%g", mt_chosen_rate(r, t, order[i]));
        snprintf(trials, sizeof trials, "%d", one->n_trials);
        for (int k = 0; k < 3; k++) put_mean_cell(loss[k], mt_mean_loss(r, t, order[i], splits[k]), 1);
        mt_mean right = mt_mean_accuracy(r, t, order[i], TASK_TEST);
        if (right.error < 1e-9) right.error = NAN; /* files without accuracies of seeds have the mean for each */
        put_mean_cell(accuracy, right, 100);
        mt_add_row(d, (const char *[]){r->entries[order[i]].label, rate, trials, loss[0], loss[1], loss[2], accuracy});
    }
    free(order);
}

static void add_cost_table(mt_document *d, const mt_results *r, int t) {
    static const mt_column columns[] = {{"optimizer", 'l'},    {"steps", 'r'},  {"µs a step", 'r'},
                                        {"ns/parameter", 'r'}, {"× Adam", 'r'}, {"state bytes/parameter", 'r'}};
    char title[512];
    snprintf(title, sizeof title, "Cost of %s", r->tasks[t].name);
    mt_add_table(d, title, columns, sizeof columns / sizeof *columns);
    for (int e = 0; e < r->n_entries; e++) {
        double seconds = mt_median_seconds(r, t, e);
        char steps[CELL_BYTES], micros[CELL_BYTES], nanos[CELL_BYTES], ratio[CELL_BYTES], state[CELL_BYTES];
        snprintf(steps, sizeof steps, "%lld", (long long)r->steps);
        put_real_cell(micros, "%.1f", 1e6 * seconds);
        put_real_cell(nanos, "%.2f", 1e9 * seconds / (double)r->tasks[t].n_params);
        put_real_cell(ratio, "%.2f", seconds / mt_adam_seconds(r, t));
        put_real_cell(state, "%.1f", mt_result_at(r, t, e)->state_bytes);
        mt_add_row(d, (const char *[]){r->entries[e].label, steps, micros, nanos, ratio, state});
    }
}

/* ---- figures ------------------------------------------------------------------------------------- */

static mt_figure *begin_figure(mt_document *d, int number, const char *kind, int t, const char *caption) {
    char name[64];
    snprintf(name, sizeof name, "results%d-%s-%d", number, kind, t + 1);
    return mt_add_figure(d, name, caption);
}

/* Mean over seeds of the validation loss and one standard deviation around it. numbers: [4][n_points] */
static void fill_loss_curve(const mt_results *r, int t, int e, double *numbers) {
    size_t n = r->n_points, seeds = (size_t)r->seeds;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, squares = 0;
        const mt_point *at = &mt_result_at(r, t, e)->points[i]; /* of the first seed */
        for (size_t s = 0; s < seeds; s++) sum += at[s * n].normalised[TASK_OUTER_VALID];
        double mean = sum / (double)seeds;
        for (size_t s = 0; s < seeds; s++) squares += pow(at[s * n].normalised[TASK_OUTER_VALID] - mean, 2);
        double deviation = seeds > 1 ? sqrt(squares / (double)(seeds - 1)) : NAN;
        numbers[i] = (double)r->x[i];
        numbers[n + i] = mean;
        numbers[2 * n + i] = mean - deviation;
        numbers[3 * n + i] = mean + deviation;
    }
}

static void add_loss_curves(mt_document *d, const mt_results *r, int t, int number) {
    char label[LABEL_BYTES];
    int *order = calloc((size_t)r->n_entries, sizeof *order);
    mt_figure *figure = begin_figure(d, number, "curves", t, r->tasks[t].name);
    if (order == NULL || figure == NULL) {
        d->failed = 1;
        free(order);
        return;
    }
    mt_sort_entries(r, t, order);
    for (int i = 0; i < r->n_entries; i++) {
        put_entry_label(label, r, t, order[i]);
        double *numbers = mt_add_curve(figure, label, r->n_points, order[i]);
        if (numbers == NULL)
            d->failed = 1;
        else
            fill_loss_curve(r, t, order[i], numbers);
    }
    free(order);
    figure->chart.x_label = "inner step";
    figure->chart.y_label = "validation loss";
    mt_set_loss_axis(figure);
}

void mt_report_curves(mt_document *d, const mt_results *r, int number) {
    for (int t = 0; t < r->n_tasks; t++) add_loss_curves(d, r, t, number);
}

/* Trials by learning rate. */
static int compare_rates(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add_rate_curve(mt_document *d, mt_figure *figure, const mt_results *r, int t, int e) {
    const mt_result *one = mt_result_at(r, t, e);
    size_t n = (size_t)one->n_trials;
    double(*pairs)[2] = calloc(n, sizeof *pairs), *numbers = mt_add_curve(figure, r->entries[e].label, n, e);
    if (pairs == NULL || numbers == NULL) d->failed = 1;
    for (size_t i = 0; pairs != NULL && i < n; i++) {
        pairs[i][0] = one->trial_rate[i];
        pairs[i][1] = one->trial_loss[i];
    }
    if (pairs != NULL) qsort(pairs, n, sizeof *pairs, compare_rates);
    for (size_t i = 0; pairs != NULL && numbers != NULL && i < n; i++) {
        numbers[i] = pairs[i][0];
        numbers[n + i] = pairs[i][1];
    }
    free(pairs);
    if (numbers != NULL) figure->curves[figure->chart.n_curves - 1].marks = 1;
}

/* The mean loss at step 0 over the entries' seeds: a rate that ends above it did not train. */
static double first_loss(const mt_results *r, int t) {
    double sum = 0;
    for (int64_t s = 0; s < r->seeds; s++)
        sum += mt_result_at(r, t, 0)->points[(size_t)s * r->n_points].normalised[TASK_OUTER_VALID];
    return sum / (double)r->seeds;
}

static int is_swept(const mt_results *r, int t, int e) {
    return mt_result_at(r, t, e)->n_trials > 1 && !r->entries[e].searched;
}

static int count_swept(const mt_results *r, int t) {
    int n = 0;
    for (int e = 0; e < r->n_entries; e++) n += is_swept(r, t, e);
    return n;
}

static void add_sensitivity(mt_document *d, const mt_results *r, int t, int number) {
    if (count_swept(r, t) == 0) return;
    mt_figure *figure = begin_figure(d, number, "rates", t, r->tasks[t].name);
    if (figure == NULL) return;
    double low = INFINITY, high = first_loss(r, t);
    for (int e = 0; e < r->n_entries; e++) {
        if (!is_swept(r, t, e)) continue;
        add_rate_curve(d, figure, r, t, e);
        for (int i = 0; i < mt_result_at(r, t, e)->n_trials; i++) low = fmin(low, mt_result_at(r, t, e)->trial_loss[i]);
    }
    figure->chart.x_label = "learning rate";
    figure->chart.y_label = "final loss, inner validation";
    figure->chart.log_x = 1;
    mt_set_value_axis(figure, low, high);
}

/* ---- what failed --------------------------------------------------------------------------------- */

static int count_diverged(const mt_results *r, int t, int e) {
    int n = 0;
    for (int64_t s = 0; s < r->seeds; s++) n += !isfinite(mt_last_point(r, t, e, s)->loss[TASK_OUTER_VALID]);
    return n;
}

static int count_failed_trials(const mt_result *one) {
    int n = 0;
    for (int i = 0; one->n_trials > 1 && i < one->n_trials; i++) n += !isfinite(one->trial_loss[i]);
    return n;
}

static void add_problems(mt_document *d, const mt_results *r) {
    static const mt_column columns[] = {{"optimizer", 'l'}, {"task", 'l'}, {"what", 'l'}};
    char what[256];
    mt_add_table(d, "Diverged runs and ends of sweeps", columns, 3);
    mt_block *table = d->failed ? NULL : d->blocks[d->n_blocks - 1];
    for (int t = 0; t < r->n_tasks; t++) {
        for (int e = 0; e < r->n_entries; e++) {
            const mt_result *one = mt_result_at(r, t, e);
            const char *label = r->entries[e].label, *name = r->tasks[t].name;
            int diverged = count_diverged(r, t, e), trials = count_failed_trials(one);
            snprintf(what, sizeof what,
                     "%d of %lld runs diverged; they count with the bound of the loss, if it has one", diverged,
                     (long long)r->seeds);
            if (diverged > 0) mt_add_row(d, (const char *[]){label, name, what});
            snprintf(what, sizeof what, "%d of %d trials diverged", trials, one->n_trials);
            if (trials > 0) mt_add_row(d, (const char *[]){label, name, what});
            snprintf(what, sizeof what,
                     "the best learning rate, %g, is the %s that was tried; a better one may lie beyond",
                     mt_chosen_rate(r, t, e), one->at_end < 0 ? "lowest" : "highest");
            if (one->at_end != 0) mt_add_row(d, (const char *[]){label, name, what});
        }
    }
    if (table != NULL && table->n_rows == 0) mt_add_row(d, (const char *[]){"", "", "nothing"});
}

/* ---- all ----------------------------------------------------------------------------------------- */

static void add_origin(mt_document *d, const mt_results *r, const char *path) {
    static const mt_column columns[] = {{"optimizer", 'l'}, {"preset", 'l'}, {"theta", 'l'}, {"digest", 'l'}};
    mt_add_paragraph(
        d,
        "%s: metatrain %s, kernels %s, seed %llu; inner steps: %lld, seeds: %lld, batches after the last step: %lld, "
        "other seeds to choose rates: %lld.",
        path, r->version[0] ? r->version : "of an unknown version", r->kernels[0] ? r->kernels : "unknown",
        (unsigned long long)r->seed, (long long)r->steps, (long long)r->seeds, (long long)r->last_batches,
        (long long)r->sweep_seeds);
    if (r->command[0] != '\0')
        mt_add_code(d, r->command);
    else
        mt_add_paragraph(d, "The command is not in the results.");
    mt_add_table(d, "Optimizers", columns, 4);
    for (int e = 0; e < r->n_entries; e++)
        mt_add_row(d, (const char *[]){r->entries[e].label, r->entries[e].optimizer, r->entries[e].theta_path,
                                       r->entries[e].digest});
}

void mt_report_results(mt_document *d, const mt_results *r, const char *path, int number, int level) {
    int swept = 0;
    for (int t = 0; t < r->n_tasks; t++) swept += count_swept(r, t);
    mt_report_scores(d, r, path, number, level);
    mt_add_heading(d, level, "Tasks");
    mt_add_paragraph(
        d,
        "%s: loss after %lld inner steps, mean±standard error over seeds (%lld), best validation loss first; accuracy "
        "on test data. Trials: settings that were tried on other seeds. *: the end of the sweep.",
        path, (long long)r->steps, (long long)r->seeds);
    for (int t = 0; t < r->n_tasks; t++) add_task_table(d, r, t);
    mt_add_heading(d, level, "Training curves");
    mt_add_paragraph(d, "Mean validation loss%s. Labels: best final loss first, with the learning rate.",
                     r->seeds > 1 ? " over seeds; bands: one standard deviation" : " of one seed");
    mt_report_curves(d, r, number);
    if (swept > 0) {
        mt_add_heading(d, level, "Sensitivity to the learning rate");
        mt_add_paragraph(
            d,
            "Loss on inner validation data after the last step, mean over %lld seeds that the tables do not "
            "use. Rates that end above the first loss are beyond the picture; rates that diverged have no point.",
            (long long)r->sweep_seeds);
        for (int t = 0; t < r->n_tasks; t++) add_sensitivity(d, r, t, number);
    }
    mt_add_heading(d, level, "Cost");
    mt_add_paragraph(d, "Time of an inner step with its batch, loss and gradient: median over seeds. × Adam: over the "
                        "time of the first Adam. State: what the optimizer keeps between steps.");
    for (int t = 0; t < r->n_tasks; t++) add_cost_table(d, r, t);
    mt_add_heading(d, level, "What failed");
    add_problems(d, r);
    mt_add_heading(d, level, "How it was made");
    add_origin(d, r, path);
}
