/* SPDX-License-Identifier: Apache-2.0
 *
 * comparison_report.c - what a comparison found, as tables, JSON and curves. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/svg_plot.h"
#include "base/text_table.h"
#include "eval/comparison.h"
#include "eval/nadamw_search.h"

/* ---- shared -------------------------------------------------------------------------------------- */

/* NaN for an optimizer without one, and for a learned one that nobody tuned: it sets its own steps. */
static double chosen_rate(const mt_comparison *c, int task_index, int entry) {
    const mt_entry *e = &c->entries[entry];
    const lopt_optimizer *opt = e->opt[mt_comparison_outcome(c, task_index, entry)->chosen];
    return lopt_info(opt)->learned && e->n_trials == 1 ? NAN : lopt_get_number(opt, "learning_rate", 0);
}

/* Whether the sweep ended at its lowest or highest rate: a better one may lie beyond. */
static int at_end_of_sweep(const mt_comparison *c, int task_index, int entry) {
    const mt_suite *s = c->suite;
    double rate = chosen_rate(c, task_index, entry);
    int lower = 0, higher = 0;
    int swept = c->entries[entry].n_trials > 1 && !c->entries[entry].searched;
    for (int i = 0; swept && i < s->n_sweep; i++) {
        lower |= s->sweep[i] < rate;
        higher |= s->sweep[i] > rate;
    }
    return swept && !(lower && higher);
}

static double valid_loss(const mt_comparison *c, int task_index, int entry) {
    return mt_comparison_loss(c, task_index, entry, TASK_OUTER_VALID).mean;
}

/* Entries by validation loss, equal ones in the order of the suite; NaN comes last. order[n_entries] */
static void sort_entries(const mt_comparison *c, int task_index, int *order) {
    for (int i = 0; i < c->n_entries; i++) {
        double loss = valid_loss(c, task_index, i);
        int at = i;
        for (; at > 0; at--) {
            double before = valid_loss(c, task_index, order[at - 1]);
            if (before <= loss || (isnan(loss) && !isnan(before))) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

/* ---- table --------------------------------------------------------------------------------------- */

enum { CELL = 48 };

static void format_mean(mt_mean m, char text[CELL]) {
    int fixed = fabs(m.mean) >= 0.01 && fabs(m.mean) < 1000;
    snprintf(text, CELL, fixed ? "%.3f" : "%.2e", m.mean);
    size_t n = strlen(text);
    if (isfinite(m.error)) snprintf(text + n, CELL - n, fixed ? "±%.3f" : "±%.0e", m.error);
}

static void format_or_blank(const char *format, double value, char text[CELL]) {
    text[0] = '\0';
    if (isfinite(value)) snprintf(text, CELL, format, value);
}

/* Seconds of a step of the first entry that is Adam; NaN if none is. */
static double adam_seconds(const mt_comparison *c, int task_index) {
    for (int i = 0; i < c->n_entries; i++)
        if (strcmp(lopt_info(c->entries[i].opt[0])->name, "adam") == 0)
            return mt_comparison_step_seconds(c, task_index, i);
    return NAN;
}

static void add_result_row(mt_text_table *table, const mt_comparison *c, int task_index, int entry) {
    const mt_entry *e = &c->entries[entry];
    double seconds = mt_comparison_step_seconds(c, task_index, entry);
    char rate[CELL], trials[CELL], loss[3][CELL], accuracy[CELL], micros[CELL], ratio[CELL];
    static const task_split splits[] = {TASK_TRAIN, TASK_OUTER_VALID, TASK_TEST};
    format_or_blank(at_end_of_sweep(c, task_index, entry) ? "%g*" : "%g", chosen_rate(c, task_index, entry), rate);
    snprintf(trials, sizeof trials, "%d", e->n_trials);
    for (int i = 0; i < 3; i++) format_mean(mt_comparison_loss(c, task_index, entry, splits[i]), loss[i]);
    format_or_blank("%.1f %%", 100 * mt_comparison_accuracy(c, task_index, entry, TASK_TEST).mean, accuracy);
    format_or_blank("%.1f", 1e6 * seconds, micros);
    format_or_blank("%.2f", seconds / adam_seconds(c, task_index), ratio);
    mt_text_table_row(table,
                      (const char *[]){e->label, rate, trials, loss[0], loss[1], loss[2], accuracy, micros, ratio});
}

static void print_task_results(const mt_comparison *c, int task_index, int *order, FILE *f) {
    static const mt_column columns[] = {{"optimizer", 'l'},  {"rate", 'r'},       {"trials", 'r'},
                                        {"train loss", 'r'}, {"valid loss", 'r'}, {"test loss", 'r'},
                                        {"accuracy", 'r'},   {"us/step", 'r'},    {"x Adam", 'r'}};
    const task *t = c->tasks[task_index];
    mt_text_table *table = mt_text_table_create(columns, sizeof columns / sizeof *columns);
    if (table == NULL) return;
    sort_entries(c, task_index, order);
    for (int i = 0; i < c->n_entries; i++) add_result_row(table, c, task_index, order[i]);
    fprintf(f, "%s%s\nloss after %lld steps on %lld fresh seeds, mean±standard error\n\n", task_index ? "\n" : "",
            t->name, (long long)c->plan.steps, (long long)c->suite->seeds);
    mt_text_table_print(table, f);
    mt_text_table_free(table);
}

/* Hyperparameters that a row of a search sets, with the values of the row that was chosen. */
static json_t *row_settings(const lopt_optimizer *opt) {
    json_t *settings = json_object();
    lopt__optlist row;
    lopt__optlist_row(&row, 0, 0); /* for the names */
    for (int i = 0; i < LOPT__OPTLIST_SETTINGS; i++) {
        char value[64];
        lopt_get(opt, row.setting[i].name, value, sizeof value);
        json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
        json_object_set_new(settings, row.setting[i].name, parsed != NULL ? parsed : json_string(value));
    }
    return settings;
}

/* "nadamw search: row 17 of search_seed 1, best of 50 rows" and its settings, in lines of 80 columns. */
static void print_result_row(const mt_comparison *c, int task_index, int entry, FILE *f) {
    const mt_entry *e = &c->entries[entry];
    int chosen = mt_comparison_outcome(c, task_index, entry)->chosen;
    const char *name;
    json_t *value, *settings = row_settings(e->opt[chosen]);
    fprintf(f, "\n%s: row %d of search_seed %llu, best of %d rows", e->label, chosen,
            (unsigned long long)e->search_seed, e->n_trials);
    size_t column = 80;
    json_object_foreach(settings, name, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        size_t n = strlen(name) + (text != NULL ? strlen(text) : 0) + 3;
        fprintf(f, "%s%s %s", column + n > 80 ? "\n    " : ", ", name, text != NULL ? text : "");
        column = column + n > 80 ? n : column + n;
        free(text);
    }
    fputc('\n', f);
    json_decref(settings);
}

void mt_comparison_print(const mt_comparison *c, FILE *f) {
    int *order = calloc((size_t)c->n_entries, sizeof *order), any_end = 0;
    for (int t = 0; order != NULL && t < c->n_tasks; t++) {
        print_task_results(c, t, order, f);
        for (int e = 0; e < c->n_entries; e++) {
            any_end |= at_end_of_sweep(c, t, e);
            if (c->entries[e].searched) print_result_row(c, t, e, f);
        }
    }
    free(order);
    fprintf(f,
            "\ntrials: learning rates tried, on %d other seeds, chosen by loss on inner validation "
            "data\n"
            "accuracy: on test data\n%s",
            MT_SWEEP_SEEDS, any_end ? "*: the end of the sweep, a better rate may lie beyond\n" : "");
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

static json_t *number_or_null(double value) {
    json_t *finite = json_real(value);
    return finite != NULL ? finite : json_null(); /* NaN, inf */
}

static json_t *final_losses(const mt_comparison *c, int task_index, int entry, task_split split) {
    const mt_outcome *o = mt_comparison_outcome(c, task_index, entry);
    mt_mean loss = mt_comparison_loss(c, task_index, entry, split);
    mt_mean accuracy = mt_comparison_accuracy(c, task_index, entry, split);
    size_t n_points = mt_curve_points(&c->plan);
    json_t *raw = json_array(), *bounded = json_array();
    for (int64_t s = 0; s < c->suite->seeds; s++) {
        const mt_point *last = &o->points[(size_t)(s + 1) * n_points - 1];
        json_array_append_new(raw, number_or_null(last->loss[split]));
        json_array_append_new(bounded, number_or_null(last->normalised[split]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "mean", number_or_null(loss.mean), "standard_error",
                     number_or_null(loss.error), "accuracy", number_or_null(accuracy.mean), "accuracy_standard_error",
                     number_or_null(accuracy.error), "losses", raw, "losses_normalised", bounded);
}

/* One list a seed, one number a point. */
static json_t *curve_of(const mt_comparison *c, const mt_outcome *o, task_split split) {
    json_t *seeds = json_array();
    size_t n_points = mt_curve_points(&c->plan);
    for (int64_t s = 0; s < c->suite->seeds; s++) {
        json_t *curve = json_array();
        for (size_t i = 0; i < n_points; i++)
            json_array_append_new(curve, number_or_null(o->points[(size_t)s * n_points + i].normalised[split]));
        json_array_append_new(seeds, curve);
    }
    return seeds;
}

static json_t *sweep_of(const mt_entry *e, const mt_outcome *o) {
    json_t *rates = json_array();
    for (int i = 0; e->n_trials > 1 && i < e->n_trials; i++) /* of a search: row i */
        json_array_append_new(rates, json_pack("{s:o, s:o}", "learning_rate",
                                               number_or_null(lopt_get_number(e->opt[i], "learning_rate", 0)),
                                               "inner_valid_loss", number_or_null(o->sweep_loss[i])));
    return rates;
}

/* A number, or text where JSON readers would not keep all digits. */
static json_t *seed_json(uint64_t seed) {
    char text[32];
    if (seed <= INT64_MAX) return json_integer((json_int_t)seed);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return json_string(text);
}

/* null without a search */
static json_t *search_of(const mt_entry *e, const mt_outcome *o) {
    if (!e->searched) return json_null();
    return json_pack("{s:o, s:i, s:o}", "search_seed", seed_json(e->search_seed), "row", o->chosen, "settings",
                     row_settings(e->opt[o->chosen]));
}

static json_t *entry_json(const mt_comparison *c, int task_index, int entry) {
    const mt_entry *e = &c->entries[entry];
    const mt_outcome *o = mt_comparison_outcome(c, task_index, entry);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:i, s:o, s:o, s:{s:o, s:o, s:o}, s:{s:o, s:o, s:o}}", "label",
                     e->label, "optimizer", lopt_info(e->opt[0])->name, "theta", e->theta_path, "digest", e->digest,
                     "learning_rate", number_or_null(chosen_rate(c, task_index, entry)), "trials", e->n_trials, "sweep",
                     sweep_of(e, o), "search", search_of(e, o), "final", "train",
                     final_losses(c, task_index, entry, TASK_TRAIN), "outer_valid",
                     final_losses(c, task_index, entry, TASK_OUTER_VALID), "test",
                     final_losses(c, task_index, entry, TASK_TEST), "curves", "train", curve_of(c, o, TASK_TRAIN),
                     "outer_valid", curve_of(c, o, TASK_OUTER_VALID), "test", curve_of(c, o, TASK_TEST));
}

static json_t *task_results_json(const mt_comparison *c, int task_index) {
    const task *t = c->tasks[task_index];
    json_t *x = json_array(), *entries = json_array();
    for (size_t i = 0; i < mt_curve_points(&c->plan); i++)
        json_array_append_new(x, json_integer(mt_curve_x(&c->plan, i)));
    for (int e = 0; e < c->n_entries; e++) json_array_append_new(entries, entry_json(c, task_index, e));
    return json_pack("{s:s, s:I, s:o, s:o, s:o}", "task", t->name, "parameters", (json_int_t)t->n_params, "loss_bound",
                     number_or_null(t->loss_bound), "x", x, "entries", entries);
}

static json_t *results_json(const mt_comparison *c) {
    const mt_suite *s = c->suite;
    json_t *tasks = json_array();
    for (int t = 0; t < c->n_tasks; t++) json_array_append_new(tasks, task_results_json(c, t));
    return json_pack("{s:s, s:o, s:I, s:I, s:i, s:I, s:I, s:I, s:o}", "version", lopt_version(), "seed",
                     seed_json(s->seed), "steps", (json_int_t)s->steps, "seeds", (json_int_t)s->seeds, "sweep_seeds",
                     MT_SWEEP_SEEDS, "every", (json_int_t)s->every, "batches", (json_int_t)s->batches, "last_batches",
                     (json_int_t)s->last_batches, "tasks", tasks);
}

/* Times differ between runs and rank counts, so they have a file of their own. */
static json_t *timing_json(const mt_comparison *c) {
    json_t *tasks = json_array();
    for (int t = 0; t < c->n_tasks; t++) {
        json_t *entries = json_array();
        for (int e = 0; e < c->n_entries; e++) {
            double seconds = mt_comparison_step_seconds(c, t, e);
            json_array_append_new(entries, json_pack("{s:s, s:o, s:o, s:o}", "label", c->entries[e].label,
                                                     "microseconds_per_step", number_or_null(1e6 * seconds),
                                                     "nanoseconds_per_parameter_step",
                                                     number_or_null(1e9 * seconds / (double)c->tasks[t]->n_params),
                                                     "ratio_to_adam", number_or_null(seconds / adam_seconds(c, t))));
        }
        json_array_append_new(tasks, json_pack("{s:s, s:o}", "task", c->tasks[t]->name, "entries", entries));
    }
    return json_pack("{s:s, s:o}", "kernels", lopt_kernels_name(), "tasks", tasks);
}

static int write_json(const char *dir, const char *name, json_t *root, lopt_error *err) {
    char path[MT_PATH + 32];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(root);
    if (text == NULL) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    size_t n = strlen(text);
    text[n] = '\n'; /* in place of the closing zero */
    int ok = mt_write_atomically(path, text, n + 1, err);
    free(text);
    return ok;
}

int mt_comparison_write(const mt_comparison *c, const char *dir, lopt_error *err) {
    return write_json(dir, "timing.json", timing_json(c), err) && write_json(dir, "results.json", results_json(c), err);
}

/* ---- curves -------------------------------------------------------------------------------------- */

/* One chart and the numbers its curves point to. */
typedef struct drawing {
    mt_chart chart;
    mt_curve *curves;
    char (*labels)[160];
    char title[256];
    double *numbers;
} drawing;

/* "adam 0.01, best of 15" */
static void make_label(const mt_comparison *c, int task_index, int entry, char *label, size_t bytes) {
    const mt_entry *e = &c->entries[entry];
    double rate = chosen_rate(c, task_index, entry);
    int n = snprintf(label, bytes, "%s", e->label);
    if (isfinite(rate)) n += snprintf(label + n, bytes - (size_t)n, " %g", rate);
    if (e->n_trials > 1)
        snprintf(label + n, bytes - (size_t)n, ", best of %d %s", e->n_trials, e->searched ? "rows" : "rates");
}

/* Mean over seeds and one standard deviation around it at every point. numbers: [3][n_points] */
static void fill_curve(const mt_comparison *c, const mt_outcome *o, const double *x, double *numbers, mt_curve *curve) {
    size_t n = mt_curve_points(&c->plan), seeds = (size_t)c->suite->seeds;
    double *y = numbers, *low = numbers + n, *high = numbers + 2 * n;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, squares = 0;
        const mt_point *at = &o->points[i]; /* of the first seed */
        for (size_t s = 0; s < seeds; s++) sum += at[s * n].normalised[TASK_OUTER_VALID];
        y[i] = sum / (double)seeds;
        for (size_t s = 0; s < seeds; s++) squares += pow(at[s * n].normalised[TASK_OUTER_VALID] - y[i], 2);
        double deviation = seeds > 1 ? sqrt(squares / (double)(seeds - 1)) : 0;
        low[i] = y[i] - deviation;
        high[i] = y[i] + deviation;
    }
    *curve = (mt_curve){.n = n, .x = x, .y = y, .low = low, .high = high};
}

/* The picture ends at the first losses: a baseline that diverges leaves it through the top. A logarithmic
 * axis where every number allows it. */
static void set_axis(mt_chart *chart) {
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < chart->n_curves; i++) {
        const mt_curve *curve = &chart->curves[i];
        if (isfinite(curve->y[0])) high = fmax(high, curve->y[0]);
        for (size_t j = 0; j < curve->n; j++) low = fmin(low, curve->low[j]); /* passes NaN over */
    }
    if (!(low < high)) return;
    chart->log_y = low > 0;
    chart->y_min = low > 0 ? 0.95 * low : low;
    chart->y_max = 1.05 * high;
}

static int make_drawing(const mt_comparison *c, int task_index, drawing *d) {
    size_t n = mt_curve_points(&c->plan), entries = (size_t)c->n_entries;
    d->curves = calloc(entries, sizeof *d->curves);
    d->labels = calloc(entries, sizeof *d->labels);
    d->numbers = calloc((3 * entries + 1) * n, sizeof *d->numbers);
    if (!d->curves || !d->labels || !d->numbers) return 0;
    double *x = d->numbers + 3 * entries * n;
    for (size_t i = 0; i < n; i++) x[i] = (double)mt_curve_x(&c->plan, i);
    int *order = calloc(entries, sizeof *order);
    if (order == NULL) return 0;
    sort_entries(c, task_index, order);
    for (size_t i = 0; i < entries; i++) { /* the worst first: labels stand in the order of the curves' ends */
        int e = order[entries - 1 - i];
        fill_curve(c, mt_comparison_outcome(c, task_index, e), x, d->numbers + 3 * i * n, &d->curves[i]);
        make_label(c, task_index, e, d->labels[i], sizeof *d->labels);
        d->curves[i].label = d->labels[i];
        d->curves[i].color = e;
    }
    free(order);
    snprintf(d->title, sizeof d->title, "%s: mean and standard deviation over %lld seeds", c->tasks[task_index]->name,
             (long long)c->suite->seeds);
    d->chart = (mt_chart){.title = d->title,
                          .x_label = "inner step",
                          .y_label = "validation loss",
                          .n_curves = entries,
                          .curves = d->curves,
                          .key_outside = 1};
    set_axis(&d->chart);
    return 1;
}

int mt_comparison_plot(const mt_comparison *c, const char *svg_path, lopt_error *err) {
    drawing *drawings = calloc((size_t)c->n_tasks, sizeof *drawings);
    mt_chart *charts = calloc((size_t)c->n_tasks, sizeof *charts);
    int ok = drawings != NULL && charts != NULL;
    for (int t = 0; ok && t < c->n_tasks; t++) {
        ok = make_drawing(c, t, &drawings[t]);
        charts[t] = drawings[t].chart;
    }
    ok = ok ? mt_plot_charts(charts, (size_t)c->n_tasks, svg_path, err)
            : mt_error(err, LOPT_ENOMEM, "%s: not drawn, out of memory", svg_path);
    for (int t = 0; drawings != NULL && t < c->n_tasks; t++) {
        free(drawings[t].curves);
        free(drawings[t].labels);
        free(drawings[t].numbers);
    }
    free(drawings);
    free(charts);
    return ok;
}
