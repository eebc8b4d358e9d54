/* SPDX-License-Identifier: Apache-2.0
 *
 * report_document.h - a report as headings, paragraphs, tables and figures, in the order they were added, and its forms.
 *
 *     mt_document *d = mt_document_create("Report");
 *     mt_add_heading(d, 2, "Tasks");
 *     static const mt_column columns[] = {{"optimizer", 'l'}, {"loss", 'r'}};
 *     mt_add_table(d, "the task", columns, 2);                rows of mt_add_row belong to the last table
 *     mt_add_row(d, (const char *[]){"adam", "0.592±0.003"});
 *     mt_figure *figure = mt_add_figure(d, "curves-1", "caption");
 *     double *numbers = mt_add_curve(figure, "adam", n, 1);   fill x, y, low, high, n of each
 *     mt_draw_document(d, "report_figures", &err);            figures as SVG, also as files in the folder
 *     mt_print_document(d, MT_REPORT_HTML, stdout);
 *     mt_document_free(d);
 *
 * Texts are UTF-8, copied, and stand for themselves in every form: each escapes what it gives a meaning. In a column that
 * stands right, "1.0±0.1" and "1.0 [0.9, 1.1]" are numbers with an error or an interval: two or three columns of CSV.
 *
 * Functions that add do nothing once memory has run out; mt_draw_document says so. */
#ifndef MT_REPORT_DOCUMENT_H
#define MT_REPORT_DOCUMENT_H

#include <stdio.h>

#include "base/svg_plot.h"
#include "base/text_table.h"

typedef enum mt_report_format {
    MT_REPORT_HTML,     /* all of it in one page that loads nothing else */
    MT_REPORT_MARKDOWN, /* all but the figures */
    MT_REPORT_CSV,      /* tables, a blank line between; the first column is the title */
    MT_REPORT_LATEX     /* tables for \input, with the package booktabs */
} mt_report_format;

typedef struct mt_figure {
    char name[64]; /* of the file, without .svg */
    mt_chart chart;
    mt_curve *curves; /* of chart */
    char *svg;        /* NULL: not drawn */
} mt_figure;

typedef enum mt_block_kind { MT_HEADING, MT_PARAGRAPH, MT_CODE, MT_TABLE, MT_FIGURE } mt_block_kind;

typedef struct mt_block {
    mt_block_kind kind;
    int level;                /* of a heading, 2 or 3 */
    char *text;               /* of a table its title, of a figure its caption */
    const mt_column *columns; /* borrowed */
    size_t n_columns, n_rows;
    char **cells; /* [n_rows][n_columns] */
    mt_figure figure;
} mt_block;

typedef struct mt_document {
    char *title;
    mt_block **blocks;
    size_t n_blocks;
    int failed; /* memory has run out */
} mt_document;

mt_document *mt_document_create(const char *title); /* NULL: out of memory */
void mt_document_free(mt_document *d);              /* NULL is fine */

void mt_add_heading(mt_document *d, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void mt_add_paragraph(mt_document *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mt_add_code(mt_document *d, const char *text); /* a command or a file, kept as it is */
void mt_add_table(mt_document *d, const char *title, const mt_column *columns, size_t n_columns);
void mt_add_row(mt_document *d, const char *const *cells);
/* NULL: out of memory. The figure is the document's; fill its chart but for the curves. */
mt_figure *mt_add_figure(mt_document *d, const char *name, const char *caption);
/* [4][n]: x, y, and low and high of a band, which is left out where they are all NaN (as they are at first). NULL: out of
 * memory, or figure is NULL. */
double *mt_add_curve(mt_figure *figure, const char *label, size_t n, int color);
/* A y axis that shows low to high; logarithmic where that says more. Nothing is changed unless low < high. */
void mt_set_value_axis(mt_figure *figure, double low, double high);
/* The same from the lowest y to the highest first one, where curves of losses begin: those that rise leave the picture. */
void mt_set_loss_axis(mt_figure *figure);

/* Draws all figures; folder: where NAME.svg are put, NULL: nowhere. One that cannot be drawn is left out with a warning
 * on stderr. 0 and a message: out of memory, or the folder cannot be written. */
int mt_draw_document(mt_document *d, const char *folder, lopt_error *err);
void mt_print_document(const mt_document *d, mt_report_format format, FILE *f);

/* For the forms: calls put for every byte of text, or with what `escapes` has for it: {byte, text}, ended by {0, NULL}. */
typedef struct mt_escape {
    char byte;
    const char *text;
} mt_escape;
void mt_put_escaped(FILE *f, const char *text, const mt_escape *escapes);
void mt_print_page(const mt_document *d, FILE *f); /* report_page.c */

#endif
