/* SPDX-License-Identifier: Apache-2.0
 *
 * results_table.c - a table for each task, best optimizer first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text_table.h"
#include "eval/results.h"

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

static void add_result_row(mt_text_table *table, const mt_results *r, int task_index, int entry) {
    const mt_result_entry *e = &r->entries[entry];
    double seconds = mt_median_seconds(r, task_index, entry);
    char rate[CELL], trials[CELL], loss[3][CELL], accuracy[CELL], micros[CELL], ratio[CELL];
    static const task_split splits[] = {TASK_TRAIN, TASK_OUTER_VALID, TASK_TEST};
    const mt_result *one = mt_result_at(r, task_index, entry);
    format_or_blank(one->at_end ? "%g*" : "%g", mt_chosen_rate(r, task_index, entry), rate);
    snprintf(trials, sizeof trials, "%d", one->n_trials);
    for (int i = 0; i < 3; i++) format_mean(mt_mean_loss(r, task_index, entry, splits[i]), loss[i]);
    format_or_blank("%.1f %%", 100 * mt_mean_accuracy(r, task_index, entry, TASK_TEST).mean, accuracy);
    format_or_blank("%.1f", 1e6 * seconds, micros);
    format_or_blank("%.2f", seconds / mt_adam_seconds(r, task_index), ratio);
    mt_text_table_row(table,
                      (const char *[]){e->label, rate, trials, loss[0], loss[1], loss[2], accuracy, micros, ratio});
}

static void print_task_results(const mt_results *r, int task_index, int *order, FILE *f) {
    static const mt_column columns[] = {{"optimizer", 'l'},  {"rate", 'r'},       {"trials", 'r'},
                                        {"train loss", 'r'}, {"valid loss", 'r'}, {"test loss", 'r'},
                                        {"accuracy", 'r'},   {"us/step", 'r'},    {"x Adam", 'r'}};
    mt_text_table *table = mt_text_table_create(columns, sizeof columns / sizeof *columns);
    if (!table) return;
    mt_sort_entries(r, task_index, order);
    for (int i = 0; i < r->n_entries; i++) add_result_row(table, r, task_index, order[i]);
    fprintf(f, "%s%s\nloss after %lld steps on %lld fresh seeds, mean±standard error\n\n", task_index ? "\n" : "",
            r->tasks[task_index].name, (long long)r->steps, (long long)r->seeds);
    mt_text_table_print(table, f);
    mt_text_table_free(table);
}

/* "a": 1, "b": "x" -> a 1, b x; in lines of 80 columns. */
static void print_settings(const char *json, FILE *f) {
    char name[64], value[64];
    int used;
    size_t column = 80;
    for (const char *at = json + 1; sscanf(at, " \"%63[^\"]\": %63[^,}]%n", name, value, &used) == 2; at += used + 1) {
        char *end, number[32], *text = value + (value[0] == '"');
        text[strcspn(text, "\"")] = '\0';
        double x = strtod(text, &end);
        if (*end == '\0') {
            snprintf(number, sizeof number, "%.6g", x);
            text = number;
        }
        size_t n = strlen(name) + strlen(text) + 3;
        fprintf(f, "%s%s %s", column + n > 80 ? "\n    " : ", ", name, text);
        column = column + n > 80 ? n : column + n;
        if (at[used] != ',') break;
    }
    fputc('\n', f);
}

/* "nadamw search: row 17 of search_seed 1, best of 50 rows" and its settings. */
static void print_chosen_row(const mt_results *r, int task_index, int entry, FILE *f) {
    const mt_result_entry *e = &r->entries[entry];
    const mt_result *one = mt_result_at(r, task_index, entry);
    fprintf(f, "\n%s: row %d of search_seed %llu, best of %d rows", e->label, one->chosen,
            (unsigned long long)e->search_seed, one->n_trials);
    print_settings(one->settings, f);
}

void mt_print_tables(const mt_results *r, FILE *f) {
    int *order = calloc((size_t)r->n_entries, sizeof *order), any_end = 0;
    for (int t = 0; order && t < r->n_tasks; t++) {
        print_task_results(r, t, order, f);
        for (int e = 0; e < r->n_entries; e++) {
            any_end |= mt_result_at(r, t, e)->at_end != 0;
            if (r->entries[e].searched) print_chosen_row(r, t, e, f);
        }
    }
    free(order);
    fprintf(f,
            "\ntrials: learning rates tried, on %lld other seed%s, chosen by loss on inner validation data\n"
            "accuracy: on test data\n%s",
            (long long)r->sweep_seeds, r->sweep_seeds == 1 ? "" : "s",
            any_end ? "*: the end of the sweep, a better rate may lie beyond (extend_sweep: yes goes on)\n" : "");
}
