/* SPDX-License-Identifier: Apache-2.0
 *
 * run_history.c - see run_history.h. */
#include "run/run_history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/progress.h"
#include "base/read_file.h"
#include "run/training_plot.h"

enum { FILE_BYTES = 1100, WORD_BYTES = 64, DIFFERENCE_BYTES = 4096 };

/* ---- reading ------------------------------------------------------------------------------------- */

static int has_file(const char *folder, const char *name) {
    char path[FILE_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

mt_place mt_kind_of_place(const char *path, lopt_error *err) {
    struct stat info;
    if (strlen(path) >= sizeof((mt_run_history *)NULL)->path)
        mt_error(err, LOPT_EARG, "%.200s...: the path is too long", path);
    else if (stat(path, &info) != 0)
        mt_error(err, LOPT_EARG, "%s: there is no such file or folder", path);
    else if (!S_ISDIR(info.st_mode) || has_file(path, "results.json"))
        return MT_PLACE_RESULTS;
    else if (has_file(path, "metrics.jsonl"))
        return MT_PLACE_RUN;
    else
        mt_error(
            err, LOPT_EARG,
            "%s: found neither results.json nor metrics.jsonl, expected a folder of metatrain eval --out or metatrain "
            "train --out",
            path);
    return MT_PLACE_NEITHER;
}

static int read_run_config(mt_run_history *h, lopt_error *err) {
    char path[FILE_BYTES];
    size_t n;
    if (!has_file(h->path, "config.yaml")) return 1;
    snprintf(path, sizeof path, "%s/config.yaml", h->path);
    char *text = mt_text_read(path, MT_YAML_MAX_BYTES, &n, err);
    h->config = text != NULL ? mt_yaml_read(text, n, h->path, err) : NULL;
    free(text);
    return h->config != NULL;
}

int mt_history_read(const char *path, mt_run_history *h, lopt_error *err) {
    char file[FILE_BYTES];
    *h = (mt_run_history){.n = 0};
    snprintf(h->path, sizeof h->path, "%s", path);
    snprintf(file, sizeof file, "%s/metrics.jsonl", h->path);
    h->rows = mt_metrics_read(file, &h->n, err);
    int ok = h->rows != NULL && read_run_config(h, err);
    if (ok && h->n == 0) ok = mt_error(err, LOPT_EARG, "%s: found no outer step, expected one at least", file);
    if (ok && has_file(path, "status.json")) ok = mt_status_read(path, &h->status, err);
    if (!ok) mt_history_close(h);
    return ok;
}

void mt_history_close(mt_run_history *h) {
    free(h->rows);
    mt_yaml_free(h->config);
    *h = (mt_run_history){.n = 0};
}

/* ---- curves -------------------------------------------------------------------------------------- */

static void add_meta_loss(mt_document *d, mt_figure *figure, const mt_run_history *h, size_t run, size_t n_runs) {
    double *points = n_runs == 1 ? mt_add_curve(figure, "one outer step", h->n, 0) : NULL;
    double *line = mt_add_curve(figure, n_runs == 1 ? "smoothed" : h->path, h->n, (int)run);
    double *y = calloc(h->n, sizeof *y);
    if (line == NULL || y == NULL) d->failed = 1;
    for (size_t i = 0; line != NULL && y != NULL && i < h->n; i++) {
        line[i] = (double)h->rows[i].outer_step;
        y[i] = h->rows[i].meta_loss;
    }
    if (line != NULL && y != NULL) mt_average_nearby(y, h->n, h->n / 50, line + h->n);
    if (points != NULL && line != NULL && y != NULL) {
        memcpy(points, line, h->n * sizeof *points);
        memcpy(points + h->n, y, h->n * sizeof *points);
        figure->curves[figure->chart.n_curves - 2].points = 1;
    }
    free(y);
}

static size_t count_evaluations(const mt_run_history *h) {
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++) n += isfinite(h->rows[i].eval_score);
    return n;
}

static void add_score_curve(mt_document *d, mt_figure *figure, const mt_run_history *h, size_t run, size_t n_runs) {
    size_t n = count_evaluations(h), at = 0;
    double *numbers = mt_add_curve(figure, n_runs == 1 ? "" : h->path, n, (int)run);
    if (numbers == NULL) d->failed = 1;
    for (size_t i = 0; numbers != NULL && i < h->n; i++) {
        if (!isfinite(h->rows[i].eval_score)) continue;
        numbers[at] = (double)h->rows[i].outer_step;
        numbers[n + at++] = h->rows[i].eval_score;
    }
    if (numbers != NULL) figure->curves[figure->chart.n_curves - 1].marks = n <= 50;
}

void mt_add_history_curves(mt_document *d, const mt_run_history *h, size_t n, const char *name) {
    char file[WORD_BYTES];
    size_t scores = 0;
    snprintf(file, sizeof file, "%s-meta-loss", name);
    mt_figure *figure = mt_add_figure(d, file, n == 1 ? h->path : "meta-loss");
    for (size_t i = 0; figure != NULL && i < n; i++) {
        add_meta_loss(d, figure, &h[i], i, n);
        scores += count_evaluations(&h[i]);
    }
    if (figure == NULL) return;
    figure->chart.x_label = "outer step";
    figure->chart.y_label = "meta-loss, mean over particles";
    if (scores == 0) return;
    snprintf(file, sizeof file, "%s-score", name);
    figure = mt_add_figure(d, file, n == 1 ? h->path : "validation score");
    for (size_t i = 0; figure != NULL && i < n; i++) add_score_curve(d, figure, &h[i], i, n);
    if (figure == NULL) return;
    figure->chart.x_label = "outer step";
    figure->chart.y_label = "validation score, lower is better";
}

/* ---- what differs in configurations -------------------------------------------------------------- */

/* The runs that are compared, and what run `run` has that others have not. */
typedef struct difference {
    const mt_run_history *h;
    size_t n, run;
    char text[DIFFERENCE_BYTES];
} difference;

static int is_leaf(const mt_yaml *node) {
    if (node->kind == MT_YAML_SCALAR) return 1;
    for (size_t i = 0; i < node->n; i++)
        if (node->kind == MT_YAML_MAP || node->child[i]->kind != MT_YAML_SCALAR) return 0;
    return 1;
}

/* "[32, 32]" of a list of scalars; "" for a node that is not there. */
static void write_leaf(const mt_yaml *node, char text[WORD_BYTES]) {
    size_t used = 0;
    text[0] = '\0';
    if (node == NULL) return;
    if (node->kind == MT_YAML_SCALAR) {
        snprintf(text, WORD_BYTES, "%s", node->text != NULL ? node->text : "");
        return;
    }
    for (size_t i = 0; i < node->n && used < WORD_BYTES; i++)
        used += (size_t)snprintf(text + used, WORD_BYTES - used, "%s%s", i > 0 ? ", " : "[",
                                 node->child[i]->text != NULL ? node->child[i]->text : "");
    if (used < WORD_BYTES - 1) snprintf(text + used, WORD_BYTES - used, "%s", used > 0 ? "]" : "[]");
}

static void compare_leaf(difference *of, const char *path, const mt_yaml *node) {
    char own[WORD_BYTES], other[WORD_BYTES];
    size_t used = strlen(of->text);
    int differs = 0;
    write_leaf(node, own);
    for (size_t i = 0; i < of->n; i++) {
        const mt_yaml *there = of->h[i].config != NULL ? mt_yaml_find(of->h[i].config, path) : node;
        write_leaf(there, other);
        differs |= there == NULL || strcmp(own, other) != 0;
    }
    if (differs) snprintf(of->text + used, sizeof of->text - used, "%s%s=%s", used > 0 ? ", " : "", path, own);
}

/* No deeper than MT_YAML_MAX_DEPTH, which the reader guards. */
static void compare_nodes(difference *of, const char *path, const mt_yaml *node) {
    if (is_leaf(node)) {
        compare_leaf(of, path, node);
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        char below[512], number[24];
        snprintf(number, sizeof number, "%zu", i);
        int n = snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "." : "",
                         node->child[i]->key != NULL ? node->child[i]->key : number);
        if (n > 0 && (size_t)n < sizeof below) compare_nodes(of, below, node->child[i]);
    }
}

/* ---- table --------------------------------------------------------------------------------------- */

static void write_number(char cell[WORD_BYTES], const char *format, double value) {
    cell[0] = '\0';
    if (isfinite(value)) snprintf(cell, WORD_BYTES, format, value);
}

static double last_score(const mt_run_history *h) {
    for (size_t i = h->n; i-- > 0;)
        if (isfinite(h->rows[i].eval_score)) return h->rows[i].eval_score;
    return NAN;
}

static double best_score(const mt_run_history *h) {
    double best = NAN;
    for (size_t i = 0; i < h->n; i++) best = fmin(best, h->rows[i].eval_score); /* passes NaN over */
    return best;
}

/* Mean over the last twentieth of the outer steps. */
static double final_meta_loss(const mt_run_history *h) {
    size_t n = (h->n + 19) / 20;
    double sum = 0;
    for (size_t i = h->n - n; i < h->n; i++) sum += h->rows[i].meta_loss;
    return sum / (double)n;
}

static void add_history_row(mt_document *d, const mt_run_history *h, size_t n, size_t run) {
    const mt_metrics_row *last = &h[run].rows[h[run].n - 1];
    char steps[WORD_BYTES], loss[WORD_BYTES], score[WORD_BYTES], best[WORD_BYTES], speed[WORD_BYTES], wall[WORD_BYTES];
    difference *of = calloc(1, sizeof *of);
    if (of == NULL) {
        d->failed = 1;
        return;
    }
    *of = (difference){.h = h, .n = n, .run = run};
    if (h[run].config != NULL && n > 1) compare_nodes(of, "", h[run].config);
    snprintf(steps, sizeof steps, "%lld", (long long)last->outer_step);
    write_number(loss, "%.4f", final_meta_loss(&h[run]));
    write_number(score, "%.4f", last_score(&h[run]));
    write_number(best, "%.4f", best_score(&h[run]));
    write_number(speed, "%.0f", (double)last->inner_steps / last->seconds);
    mt_format_seconds(last->seconds, wall, sizeof wall);
    mt_add_row(d, (const char *[]){h[run].path, steps, loss, score, best, speed, wall, of->text});
    free(of);
}

void mt_add_history_table(mt_document *d, const mt_run_history *h, size_t n) {
    static const mt_column columns[] = {{"run", 'l'},         {"outer steps", 'r'}, {"meta-loss", 'r'},
                                        {"final score", 'r'}, {"best score", 'r'},  {"inner steps/s", 'r'},
                                        {"wall time", 'r'},   {"what differs", 'l'}};
    mt_add_table(d, "Runs", columns, sizeof columns / sizeof *columns - (n == 1));
    for (size_t i = 0; i < n; i++) add_history_row(d, h, n, i);
}

/* ---- all ----------------------------------------------------------------------------------------- */

static void add_history_problems(mt_document *d, const mt_run_history *h, size_t n) {
    static const mt_column columns[] = {{"run", 'l'}, {"what", 'l'}};
    static const char *const states[] = {"is running, or was killed", "was stopped; --resume goes on", NULL, "failed"};
    char what[128];
    mt_add_table(d, "Runs that ended early or diverged", columns, 2);
    mt_block *table = d->failed ? NULL : d->blocks[d->n_blocks - 1];
    for (size_t i = 0; i < n; i++) {
        long long non_finite = 0, dropped = 0, skipped = 0;
        for (size_t j = 0; j < h[i].n; j++) {
            non_finite += h[i].rows[j].non_finite;
            dropped += h[i].rows[j].dropped;
            skipped += h[i].rows[j].skipped;
        }
        const char *state = h[i].status.version[0] != '\0' ? states[h[i].status.state] : "has no status.json";
        snprintf(what, sizeof what, "%s, after outer step %lld", state != NULL ? state : "",
                 (long long)h[i].rows[h[i].n - 1].outer_step);
        if (state != NULL) mt_add_row(d, (const char *[]){h[i].path, what});
        snprintf(what, sizeof what, "%lld losses were not finite, %lld windows were discarded, %lld gradients skipped",
                 non_finite, dropped, skipped);
        if (non_finite + dropped + skipped > 0) mt_add_row(d, (const char *[]){h[i].path, what});
    }
    if (table != NULL && table->n_rows == 0) mt_add_row(d, (const char *[]){"", "nothing"});
}

void mt_report_histories(mt_document *d, const mt_run_history *h, size_t n) {
    char command[FILE_BYTES + 64];
    mt_add_heading(d, 2, "Meta-training");
    mt_add_paragraph(
        d, "Meta-loss: mean over the last twentieth of the outer steps; its curves are smoothed. Score: validation "
           "loss of the learned optimizer, lower is better, where the run measured it.");
    mt_add_history_table(d, h, n);
    mt_add_history_curves(d, h, n, "runs");
    mt_add_heading(d, 3, "What failed in meta-training");
    add_history_problems(d, h, n);
    mt_add_heading(d, 3, "How the runs were made");
    for (size_t i = 0; i < n; i++) {
        mt_add_paragraph(d,
                         "%s: metatrain %s. Its folder has the configuration with every default filled in:", h[i].path,
                         h[i].status.version[0] ? h[i].status.version : "of an unknown version");
        snprintf(command, sizeof command, "metatrain train %s/config.yaml --out ...", h[i].path);
        mt_add_code(d, command);
    }
}
