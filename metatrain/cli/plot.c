/* SPDX-License-Identifier: Apache-2.0
 *
 * plot.c - `metatrain plot`: curves of runs and evaluations on the terminal, or as a picture. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "eval/report_results.h"
#include "run/run_history.h"

enum { MAX_PLOTTED = 64, PICTURE_WIDTH = 900, PICTURE_HEIGHT = 440 };

/* ---- arguments ----------------------------------------------------------------------------------- */

typedef struct plot_options {
    const char *out;
    int compare, n_places;
    const char *place[MAX_PLOTTED]; /* RUN and RESULTS */
} plot_options;

static const char doc[] = "Draw the curves of meta-training runs (RUN, folder of `metatrain train --out`) or of "
                          "evaluations (RESULTS, folder of "
                          "`metatrain eval --out`).\v"
                          "A run: meta-loss, and validation score if it was measured, against the outer step. An "
                          "evaluation: validation loss of "
                          "every optimizer against the inner step, for each task. Needs gnuplot.\n\n"
                          "--compare draws all runs in one picture and prints a line for each: what differs in their "
                          "configurations, scores, inner "
                          "steps a second, wall time.\n\n"
                          "Examples:\n"
                          "  metatrain plot runs/quickstart\n"
                          "  metatrain plot runs/compare --out curves.svg\n"
                          "  metatrain plot --compare runs/a runs/b --out runs.png\n";

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "a picture, FILE.svg or FILE.png, instead of the terminal", 0},
    {"compare", 'c', 0, 0, "runs in one picture, and a table of them", 0},
    {0}};

static int has_ending(const char *path, const char *ending) {
    size_t n = strlen(path), k = strlen(ending);
    return n > k && strcmp(path + n - k, ending) == 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is argp's */
static error_t parse(int key, char *arg, struct argp_state *state) {
    plot_options *o = state->input;
    switch (key) {
    case 'o':
        o->out = arg;
        if (has_ending(arg, ".svg") || has_ending(arg, ".png")) return 0;
        return argp_error(state, "--out: found \"%s\", expected FILE.svg or FILE.png", arg), EINVAL;
    case 'c':
        o->compare = 1;
        return 0;
    case ARGP_KEY_ARG:
        if (o->n_places == MAX_PLOTTED) return argp_error(state, "more than %d folders", MAX_PLOTTED), EINVAL;
        o->place[o->n_places++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->n_places == 0) return argp_error(state, "RUN or RESULTS is missing"), EINVAL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- what is drawn ------------------------------------------------------------------------------- */

static int add_plotted_results(mt_document *d, const char *path, int number, lopt_error *err) {
    mt_results *r = mt_results_read(path, err);
    if (r == NULL) return 0;
    mt_report_curves(d, r, number);
    mt_results_free(r);
    return 1;
}

static int add_places(const plot_options *o, mt_document *d, mt_run_history *runs, size_t *n_runs, lopt_error *err) {
    for (int i = 0; i < o->n_places; i++) {
        mt_place kind = mt_kind_of_place(o->place[i], err);
        if (kind == MT_PLACE_NEITHER) return 0;
        if (kind == MT_PLACE_RESULTS && o->compare)
            return mt_error(err, LOPT_EARG, "%s: found an evaluation, expected runs: --compare is for them",
                            o->place[i]);
        if (kind == MT_PLACE_RESULTS && !add_plotted_results(d, o->place[i], i + 1, err)) return 0;
        if (kind == MT_PLACE_RUN && !mt_history_read(o->place[i], &runs[*n_runs], err)) return 0;
        *n_runs += kind == MT_PLACE_RUN;
    }
    if (o->compare) mt_add_history_table(d, runs, *n_runs);
    if (o->compare) mt_add_history_curves(d, runs, *n_runs, "runs");
    for (size_t i = 0; !o->compare && i < *n_runs; i++) mt_add_history_curves(d, &runs[i], 1, "run");
    return d->failed ? mt_error(err, LOPT_ENOMEM, "out of memory for the plot") : 1;
}

static void print_block(const mt_block *table) {
    mt_text_table *t = mt_text_table_create(table->columns, table->n_columns);
    if (t == NULL) return;
    for (size_t i = 0; i < table->n_rows; i++)
        mt_text_table_row(t, (const char *const *)table->cells + i * table->n_columns);
    mt_text_table_print(t, stdout);
    mt_text_table_free(t);
}

static mt_picture choose_picture(const char *out) {
    struct winsize window = {.ws_col = 0};
    const char *columns = getenv("COLUMNS");
    if (out != NULL)
        return (mt_picture){has_ending(out, ".png") ? MT_PLOT_PNG : MT_PLOT_SVG, PICTURE_WIDTH, PICTURE_HEIGHT, NULL};
    int width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col
                : columns != NULL                                                   ? atoi(columns)
                                                                                    : 80;
    int height = window.ws_row > 12 && window.ws_row < 30 ? window.ws_row - 2 : 28;
    return (mt_picture){MT_PLOT_TEXT, width < 40 ? 40 : width > 200 ? 200 : width, height, NULL};
}

static int draw_plots(const plot_options *o, const mt_document *d, lopt_error *err) {
    mt_picture picture = choose_picture(o->out);
    mt_chart *charts = calloc(d->n_blocks + 1, sizeof *charts);
    size_t n = 0, n_bytes;
    if (charts == NULL) return mt_error(err, LOPT_ENOMEM, "out of memory for the plot");
    for (size_t i = 0; i < d->n_blocks; i++) {
        if (d->blocks[i]->kind == MT_TABLE) print_block(d->blocks[i]);
        if (d->blocks[i]->kind != MT_FIGURE) continue;
        charts[n] = d->blocks[i]->figure.chart;
        charts[n].key_outside = charts[n].n_curves > 2;
        charts[n++].title = d->blocks[i]->text;
    }
    int ok = 1;
    size_t together = picture.form == MT_PLOT_TEXT ? 1 : n; /* one below the other in a picture */
    for (size_t i = 0; ok && i < n; i += together) {
        char *drawn = mt_draw_charts(charts + i, together, &picture, &n_bytes, err);
        ok = drawn != NULL && (o->out == NULL || mt_write_atomically(o->out, drawn, n_bytes, err));
        if (ok && o->out == NULL) fputs(drawn + strspn(drawn, "\f\n "), stdout);
        free(drawn);
    }
    free(charts);
    return ok;
}

int mt_command_plot(int argc, char **argv) {
    static const struct argp parser = {options, parse, "RUN...|RESULTS...", doc, 0, 0, 0};
    plot_options o = {0};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    lopt_error err = {LOPT_OK, ""};
    size_t n_runs = 0;
    mt_run_history *runs = calloc((size_t)o.n_places, sizeof *runs);
    mt_document *d = mt_document_create("");
    int ok = runs != NULL && d != NULL ? add_places(&o, d, runs, &n_runs, &err) && draw_plots(&o, d, &err)
                                       : mt_error(&err, LOPT_ENOMEM, "out of memory for the plot");
    for (size_t i = 0; i < n_runs; i++) mt_history_close(&runs[i]);
    free(runs);
    mt_document_free(d);
    return ok ? MT_DONE : mt_print_error(&err);
}
