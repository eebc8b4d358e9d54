/* SPDX-License-Identifier: Apache-2.0
 *
 * report_document.c - see report_document.h. */
#include "eval/report_document.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"

/* Of a figure, in pixels: as wide as a telephone held upright, so that its letters are not shrunk there. */
enum { FIGURE_WIDTH = 430, FIGURE_HEIGHT = 290, LABEL_LETTERS = 44 };

/* ---- memory -------------------------------------------------------------------------------------- */

mt_document *mt_document_create(const char *title) {
    mt_document *d = calloc(1, sizeof *d);
    if (d == NULL || (d->title = strdup(title)) != NULL) return d;
    free(d);
    return NULL;
}

static void free_figure(mt_figure *figure) {
    for (size_t i = 0; i < figure->chart.n_curves; i++) {
        free((char *)figure->curves[i].label);
        free((double *)figure->curves[i].x); /* and what follows it: y, low, high */
    }
    free(figure->curves);
    free(figure->svg);
}

void mt_document_free(mt_document *d) {
    if (d == NULL) return;
    for (size_t i = 0; i < d->n_blocks; i++) {
        mt_block *b = d->blocks[i];
        for (size_t j = 0; j < b->n_rows * b->n_columns; j++) free(b->cells[j]);
        free(b->cells);
        free(b->text);
        free_figure(&b->figure);
        free(b);
    }
    free(d->blocks);
    free(d->title);
    free(d);
}

/* Takes text; NULL is memory that ran out. */
static mt_block *add_block(mt_document *d, mt_block_kind kind, char *text) {
    mt_block *b = calloc(1, sizeof *b), **larger = NULL;
    if (text != NULL && b != NULL) larger = realloc(d->blocks, (d->n_blocks + 1) * sizeof(mt_block *));
    if (larger == NULL) {
        free(text);
        free(b);
        d->failed = 1;
        return NULL;
    }
    *b = (mt_block){.kind = kind, .text = text};
    larger[d->n_blocks++] = b;
    d->blocks = larger;
    return b;
}

/* ---- adding -------------------------------------------------------------------------------------- */

static char *format_text(const char *format, va_list arguments) {
    char *text = NULL;
    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

void mt_add_heading(mt_document *d, int level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    mt_block *b = add_block(d, MT_HEADING, format_text(format, arguments));
    va_end(arguments);
    if (b != NULL) b->level = level;
}

void mt_add_paragraph(mt_document *d, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_block(d, MT_PARAGRAPH, format_text(format, arguments));
    va_end(arguments);
}

void mt_add_code(mt_document *d, const char *text) {
    add_block(d, MT_CODE, strdup(text));
}

void mt_add_table(mt_document *d, const char *title, const mt_column *columns, size_t n_columns) {
    mt_block *b = add_block(d, MT_TABLE, strdup(title));
    if (b == NULL) return;
    b->columns = columns;
    b->n_columns = n_columns;
}

void mt_add_row(mt_document *d, const char *const *cells) {
    mt_block *b = d->n_blocks > 0 ? d->blocks[d->n_blocks - 1] : NULL;
    if (d->failed || b == NULL || b->kind != MT_TABLE) return;
    char **larger = realloc(b->cells, (b->n_rows + 1) * b->n_columns * sizeof *larger);
    if (larger == NULL) {
        d->failed = 1;
        return;
    }
    b->cells = larger;
    char **row = b->cells + b->n_rows++ * b->n_columns;
    for (size_t i = 0; i < b->n_columns; i++)
        if ((row[i] = strdup(cells[i])) == NULL) d->failed = 1;
}

mt_figure *mt_add_figure(mt_document *d, const char *name, const char *caption) {
    mt_block *b = add_block(d, MT_FIGURE, strdup(caption));
    if (b == NULL) return NULL;
    snprintf(b->figure.name, sizeof b->figure.name, "%s", name);
    b->figure.chart.title = "";
    return &b->figure;
}

static int is_letter_start(char byte) {
    return ((unsigned char)byte & 0xc0) != 0x80; /* UTF-8 */
}

/* A label that is too long for the picture loses its middle; the caller frees. */
static char *cut_label_middle(const char *label) {
    size_t n = 0, seen = 0;
    for (const char *at = label; *at != '\0'; at++) n += (size_t)is_letter_start(*at);
    if (n <= LABEL_LETTERS) return strdup(label);
    const char *cut = label, *rest = label;
    for (const char *at = label; *at != '\0'; at++) {
        if (!is_letter_start(*at)) continue;
        if (seen == LABEL_LETTERS / 2) cut = at;
        if (seen++ == n - LABEL_LETTERS / 2 + 1) rest = at;
    }
    char *text = NULL;
    return asprintf(&text, "%.*s…%s", (int)(cut - label), label, rest) < 0 ? NULL : text;
}

double *mt_add_curve(mt_figure *figure, const char *label, size_t n, int color) {
    if (figure == NULL) return NULL;
    size_t n_curves = figure->chart.n_curves;
    mt_curve *larger = realloc(figure->curves, (n_curves + 1) * sizeof *larger);
    if (larger != NULL) figure->chart.curves = figure->curves = larger;
    double *numbers = calloc(4 * n + 1, sizeof *numbers);
    char *copy = cut_label_middle(label);
    if (larger == NULL || numbers == NULL || copy == NULL) {
        free(numbers);
        free(copy);
        return NULL;
    }
    for (size_t i = n; i < 4 * n; i++) numbers[i] = NAN;
    figure->curves[figure->chart.n_curves++] = (mt_curve){.label = copy,
                                                          .n = n,
                                                          .x = numbers,
                                                          .y = numbers + n,
                                                          .low = numbers + 2 * n,
                                                          .high = numbers + 3 * n,
                                                          .color = color};
    return numbers;
}

/* ---- figures ------------------------------------------------------------------------------------- */

void mt_set_value_axis(mt_figure *figure, double low, double high) {
    if (!(low < high)) return;
    double room = 0.05 * (high - low);
    figure->chart.log_y = low > 0 && high > 2 * low;
    figure->chart.y_min = figure->chart.log_y ? 0.9 * low : low - room;
    figure->chart.y_max = figure->chart.log_y ? 1.1 * high : high + room;
}

void mt_set_loss_axis(mt_figure *figure) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < figure->chart.n_curves; i++) {
        const mt_curve *curve = &figure->curves[i];
        for (size_t j = 0; j < curve->n; j++)
            if (isfinite(curve->y[j])) low = fmin(low, curve->y[j]);
        if (curve->n > 0 && isfinite(curve->y[0])) high = fmax(high, curve->y[0]);
    }
    mt_set_value_axis(figure, low, high);
    for (size_t i = 0; figure->chart.log_y && i < figure->chart.n_curves; i++) { /* a band may reach below 0 */
        double *band = (double *)figure->curves[i].low;
        for (size_t j = 0; j < figure->curves[i].n; j++)
            if (band[j] < figure->chart.y_min) band[j] = figure->chart.y_min;
    }
}

/* gnuplot refuses a picture without a point. */
static int has_point(const mt_figure *figure) {
    for (size_t i = 0; i < figure->chart.n_curves; i++)
        for (size_t j = 0; j < figure->curves[i].n; j++)
            if (isfinite(figure->curves[i].x[j]) && isfinite(figure->curves[i].y[j])) return 1;
    return 0;
}

static void drop_empty_bands(mt_figure *figure) {
    for (size_t i = 0; i < figure->chart.n_curves; i++) {
        mt_curve *curve = &figure->curves[i];
        int filled = 0;
        for (size_t j = 0; j < curve->n; j++) filled |= isfinite(curve->low[j]) && isfinite(curve->high[j]);
        if (!filled) curve->low = curve->high = NULL;
    }
}

static int draw_figure(mt_figure *figure, const char *folder, lopt_error *err) {
    mt_picture picture = {MT_PLOT_PAGE, FIGURE_WIDTH, FIGURE_HEIGHT, figure->name};
    char path[4096];
    size_t n;
    if (!has_point(figure)) return 1;
    drop_empty_bands(figure);
    figure->svg = mt_draw_charts(&figure->chart, 1, &picture, &n, err);
    if (figure->svg == NULL) return 0;
    if (folder == NULL) return 1;
    snprintf(path, sizeof path, "%s/%s.svg", folder, figure->name);
    return mt_write_atomically(path, figure->svg, n, err);
}

int mt_draw_document(mt_document *d, const char *folder, lopt_error *err) {
    for (size_t i = 0; i < d->n_blocks; i++) {
        mt_block *b = d->blocks[i];
        if (b->kind != MT_FIGURE || draw_figure(&b->figure, folder, err)) continue;
        if (b->figure.svg != NULL) return 0; /* drawn, but not written */
        mt_print_warning(err->text);
        break; /* the next ones would fail as well */
    }
    return d->failed ? mt_error(err, LOPT_ENOMEM, "out of memory for the report") : 1;
}

/* ---- for the forms ------------------------------------------------------------------------------- */

void mt_put_escaped(FILE *f, const char *text, const mt_escape *escapes) {
    for (; *text != '\0'; text++) {
        const mt_escape *e = escapes;
        while (e->byte != '\0' && e->byte != *text) e++;
        if (e->byte != '\0')
            fputs(e->text, f);
        else
            fputc(*text, f);
    }
}
