/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c - `metatrain report`: evaluations and meta-training runs as one page, or their tables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "eval/report_results.h"
#include "run/run_history.h"

enum { MAX_PLACES = 64 };

/* ---- arguments ----------------------------------------------------------------------------------- */

typedef struct report_options {
    const char *out, *format;
    const char *place[MAX_PLACES]; /* RESULTS and RUNS */
    int n_places;
} report_options;

static const char doc[] = "Make a report of evaluations (RESULTS, folders of `metatrain eval --out`) and meta-training "
                          "runs (RUNS, folders of "
                          "`metatrain train --out`).\v"
                          "The report is one HTML page that loads nothing else. Its figures also stand beside it, in "
                          "FILE without .html and with "
                          "_figures (gnuplot; without it they are left out). The other formats are the tables alone, "
                          "on standard output without "
                          "--out. LaTeX is for \\input and needs the package booktabs.\n\n"
                          "Examples:\n"
                          "  metatrain report runs/compare --out report.html\n"
                          "  metatrain report runs/compare runs/quickstart --out report.html\n"
                          "  metatrain report runs/compare --format latex --out tables.tex\n";

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "where the report is put; the page needs it", 0},
    {"format", 'f', "FORMAT", 0, "html (the default), markdown, csv or latex", 0},
    {0}};

static const char *const format_names[] = {"html", "markdown", "csv", "latex"}; /* by mt_report_format */

/* -1: there is none of this name */
static int find_format(const char *name) {
    for (int i = 0; i < 4; i++)
        if (strcmp(name, format_names[i]) == 0) return i;
    return -1;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is argp's */
static error_t parse(int key, char *arg, struct argp_state *state) {
    report_options *o = state->input;
    switch (key) {
    case 'o':
        o->out = arg;
        return 0;
    case 'f':
        o->format = arg;
        if (find_format(arg) >= 0) return 0;
        return argp_error(state, "--format: found \"%s\", expected html, markdown, csv or latex", arg), EINVAL;
    case ARGP_KEY_ARG:
        if (o->n_places == MAX_PLACES) return argp_error(state, "more than %d folders", MAX_PLACES), EINVAL;
        o->place[o->n_places++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->n_places == 0) return argp_error(state, "RESULTS or RUNS are missing"), EINVAL;
        if (find_format(o->format) == MT_REPORT_HTML && o->out == NULL)
            return argp_error(state, "--out is missing: where to put the page"), EINVAL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the command --------------------------------------------------------------------------------- */

static int count_places(const report_options *o, mt_place kind) {
    lopt_error ignored;
    int n = 0;
    for (int i = 0; i < o->n_places; i++) n += mt_kind_of_place(o->place[i], &ignored) == kind;
    return n;
}

/* Evaluations first, then all runs together. */
static int add_evaluations(const report_options *o, mt_document *d, lopt_error *err) {
    int number = 0, several = count_places(o, MT_PLACE_RESULTS) > 1;
    for (int i = 0; i < o->n_places; i++) {
        mt_place kind = mt_kind_of_place(o->place[i], err);
        if (kind == MT_PLACE_NEITHER) return 0;
        if (kind == MT_PLACE_RUN) continue;
        mt_results *r = mt_results_read(o->place[i], err);
        if (r == NULL) return 0;
        if (several) mt_add_heading(d, 2, "%s", o->place[i]);
        mt_report_results(d, r, o->place[i], ++number, several ? 3 : 2);
        mt_results_free(r);
    }
    return 1;
}

static int add_runs(const report_options *o, mt_document *d, lopt_error *err) {
    mt_run_history *runs = calloc((size_t)o->n_places, sizeof *runs);
    size_t n = 0;
    int ok = runs != NULL || mt_error(err, LOPT_ENOMEM, "out of memory for the report");
    for (int i = 0; ok && i < o->n_places; i++) {
        if (mt_kind_of_place(o->place[i], err) != MT_PLACE_RUN) continue;
        ok = mt_history_read(o->place[i], &runs[n], err);
        n += (size_t)ok;
    }
    if (ok && n > 0) mt_report_histories(d, runs, n);
    for (size_t i = 0; i < n; i++) mt_history_close(&runs[i]);
    free(runs);
    return ok;
}

/* "report.html" -> "report_figures" */
static int make_figure_folder(const char *out, char *folder, size_t bytes, lopt_error *err) {
    const char *slash = strrchr(out, '/'), *dot = strrchr(slash != NULL ? slash : out, '.');
    size_t n = dot != NULL ? (size_t)(dot - out) : strlen(out);
    if (n + 16 > bytes) return mt_error(err, LOPT_EARG, "--out: the path is too long");
    snprintf(folder, bytes, "%.*s_figures", (int)n, out);
    return mt_make_folders(folder, err);
}

static int save_report(const mt_document *d, mt_report_format format, const char *out, lopt_error *err) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (f != NULL) mt_print_document(d, format, f);
    int ok = f != NULL && fclose(f) == 0;
    ok = ok ? mt_write_atomically(out, text, n, err) : mt_error(err, LOPT_ENOMEM, "%s: out of memory", out);
    free(text);
    return ok;
}

static int publish_document(const report_options *o, mt_document *d, lopt_error *err) {
    char folder[4096];
    mt_report_format format = (mt_report_format)find_format(o->format);
    if (format == MT_REPORT_HTML &&
        !(make_figure_folder(o->out, folder, sizeof folder, err) && mt_draw_document(d, folder, err)))
        return 0;
    if (d->failed) return mt_error(err, LOPT_ENOMEM, "out of memory for the report");
    if (o->out != NULL) return save_report(d, format, o->out, err);
    mt_print_document(d, format, stdout);
    return 1;
}

int mt_command_report(int argc, char **argv) {
    static const struct argp parser = {options, parse, "RESULTS... [RUNS...]", doc, 0, 0, 0};
    report_options o = {.format = "html"};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    lopt_error err = {LOPT_OK, ""};
    mt_document *d = mt_document_create("metatrain report");
    int ok = d != NULL ? add_evaluations(&o, d, &err) && add_runs(&o, d, &err) && publish_document(&o, d, &err)
                       : mt_error(&err, LOPT_ENOMEM, "out of memory for the report");
    mt_document_free(d);
    return ok ? MT_DONE : mt_print_error(&err);
}
