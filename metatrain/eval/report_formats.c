/* SPDX-License-Identifier: Apache-2.0
 *
 * report_formats.c - a report as Markdown, CSV and LaTeX. */
#include <stdlib.h>
#include <string.h>

#include "eval/report_document.h"

static const char *cell_at(const mt_block *table, size_t row, size_t column) {
    const char *text = table->cells[row * table->n_columns + column];
    return text != NULL ? text : "";
}

/* ---- Markdown ------------------------------------------------------------------------------------ */

static const mt_escape markdown_escapes[] = {{'|', "\\|"},  {'\\', "\\\\"}, {'*', "\\*"}, {'_', "\\_"}, {'`', "\\`"},
                                             {'<', "&lt;"}, {'&', "&amp;"}, {'[', "\\["}, {'\n', " "},  {0, NULL}};

static void print_markdown_table(const mt_block *table, FILE *f) {
    fputc('|', f);
    for (size_t i = 0; i < table->n_columns; i++) fprintf(f, " %s |", table->columns[i].heading);
    fputs("\n|", f);
    for (size_t i = 0; i < table->n_columns; i++) fputs(table->columns[i].side == 'r' ? "---:|" : "---|", f);
    fputc('\n', f);
    for (size_t row = 0; row < table->n_rows; row++) {
        fputc('|', f);
        for (size_t i = 0; i < table->n_columns; i++) {
            fputc(' ', f);
            mt_put_escaped(f, cell_at(table, row, i), markdown_escapes);
            fputs(" |", f);
        }
        fputc('\n', f);
    }
}

static void print_markdown_block(const mt_block *b, FILE *f) {
    static const mt_escape no_escapes[] = {{0, NULL}};
    if (b->kind == MT_FIGURE) return;
    if (b->kind == MT_HEADING) fprintf(f, "%.*s ", b->level, "######");
    if (b->kind == MT_CODE) fputs("    ", f);
    if (b->kind == MT_TABLE && b->text[0] != '\0') fputs("**", f);
    mt_put_escaped(f, b->text, b->kind == MT_CODE ? no_escapes : markdown_escapes);
    if (b->kind == MT_TABLE) fputs(b->text[0] != '\0' ? "**\n\n" : "", f);
    if (b->kind == MT_TABLE) print_markdown_table(b, f);
    fputs(b->kind == MT_TABLE ? "\n" : "\n\n", f);
}

/* ---- CSV ----------------------------------------------------------------------------------------- */

/* The numbers in a cell: "1.0±0.1" has two, "1.0 [0.9, 1.1]" three; "0.1*", a remark in the tables for people, has one.
 * Returns how many; at, length: where they are. */
static int split_numbers(const char *text, const char *at[3], size_t length[3]) {
    const char *error = strstr(text, "±"), *interval = strstr(text, " [");
    at[0] = text;
    length[0] = strcspn(text, "*");
    if (error != NULL) {
        length[0] = (size_t)(error - text);
        at[1] = error + strlen("±");
        length[1] = strlen(at[1]);
        return 2;
    }
    const char *comma = interval != NULL ? strchr(interval, ',') : NULL;
    if (comma == NULL) return 1;
    length[0] = (size_t)(interval - text);
    at[1] = interval + 2;
    length[1] = (size_t)(comma - at[1]);
    at[2] = comma + 1 + strspn(comma + 1, " ");
    length[2] = strcspn(at[2], "]");
    return 3;
}

static int numbers_in_column(const mt_block *table, size_t column) {
    const char *at[3];
    size_t length[3];
    int most = 1;
    for (size_t row = 0; table->columns[column].side == 'r' && row < table->n_rows; row++) {
        int n = split_numbers(cell_at(table, row, column), at, length);
        if (n > most) most = n;
    }
    return most;
}

static void put_csv_text(FILE *f, const char *text) {
    static const mt_escape quotes[] = {{'"', "\"\""}, {0, NULL}};
    int quoted = strpbrk(text, ",\"\r\n") != NULL;
    fputs(quoted ? "\"" : "", f);
    mt_put_escaped(f, text, quotes);
    fputs(quoted ? "\"" : "", f);
}

static void put_csv_numbers(FILE *f, const char *text, int columns) {
    const char *at[3];
    size_t length[3];
    int n = split_numbers(text, at, length);
    for (int i = 0; i < columns; i++) fprintf(f, ",%.*s", i < n ? (int)length[i] : 0, i < n ? at[i] : "");
}

static void print_csv_table(const mt_block *table, FILE *f) {
    static const char *const suffixes[2][2] = {{" error", ""}, {" low", " high"}};
    fputs("table", f);
    for (size_t i = 0; i < table->n_columns; i++) {
        int n = numbers_in_column(table, i);
        for (int k = 0; k < n; k++) {
            char heading[128];
            snprintf(heading, sizeof heading, "%s%s", table->columns[i].heading, k > 0 ? suffixes[n - 2][k - 1] : "");
            fputc(',', f);
            put_csv_text(f, heading);
        }
    }
    fputc('\n', f);
    for (size_t row = 0; row < table->n_rows; row++) {
        put_csv_text(f, table->text);
        for (size_t i = 0; i < table->n_columns; i++) {
            const char *text = cell_at(table, row, i);
            if (table->columns[i].side == 'r') {
                put_csv_numbers(f, text, numbers_in_column(table, i));
            } else {
                fputc(',', f);
                put_csv_text(f, text);
            }
        }
        fputc('\n', f);
    }
}

/* ---- LaTeX --------------------------------------------------------------------------------------- */

static const mt_escape latex_escapes[] = {{'\\', "\\textbackslash{}"},
                                          {'&', "\\&"},
                                          {'%', "\\%"},
                                          {'$', "\\$"},
                                          {'#', "\\#"},
                                          {'_', "\\_"},
                                          {'{', "\\{"},
                                          {'}', "\\}"},
                                          {'~', "\\textasciitilde{}"},
                                          {'^', "\\textasciicircum{}"},
                                          {'<', "\\textless{}"},
                                          {'>', "\\textgreater{}"},
                                          {'\n', " "},
                                          {0, NULL}};

/* The letters beyond ASCII that the tables use have commands, which every font has. */
static void put_latex(FILE *f, const char *text) {
    static const char *const letters[][2] = {{"±", "$\\pm$"}, {"×", "$\\times$"}, {"µ", "$\\mu$"}};
    while (*text != '\0') {
        char byte[2] = {*text, '\0'};
        const char *command = NULL;
        size_t length = 1;
        for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
            size_t n = strlen(letters[i][0]);
            if (strncmp(text, letters[i][0], n) != 0) continue;
            command = letters[i][1];
            length = n;
        }
        if (command != NULL)
            fputs(command, f);
        else
            mt_put_escaped(f, byte, latex_escapes);
        text += length;
    }
}

static void print_latex_table(const mt_block *table, FILE *f) {
    fputs("\\begin{table}\n\\centering\n\\caption{", f);
    put_latex(f, table->text);
    fputs("}\n\\begin{tabular}{", f);
    for (size_t i = 0; i < table->n_columns; i++) fputc(table->columns[i].side, f);
    fputs("}\n\\toprule\n", f);
    for (size_t i = 0; i < table->n_columns; i++) {
        fputs(i > 0 ? " & " : "", f);
        put_latex(f, table->columns[i].heading);
    }
    fputs(" \\\\\n\\midrule\n", f);
    for (size_t row = 0; row < table->n_rows; row++) {
        for (size_t i = 0; i < table->n_columns; i++) {
            fputs(i > 0 ? " & " : "", f);
            put_latex(f, cell_at(table, row, i));
        }
        fputs(" \\\\\n", f);
    }
    fputs("\\bottomrule\n\\end{tabular}\n\\end{table}\n", f);
}

/* -------------------------------------------------------------------------------------------------- */

void mt_print_document(const mt_document *d, mt_report_format format, FILE *f) {
    const char *between = "";
    if (format == MT_REPORT_HTML) mt_print_page(d, f);
    if (format == MT_REPORT_MARKDOWN) {
        fputs("# ", f);
        mt_put_escaped(f, d->title, markdown_escapes);
        fputs("\n\n", f);
    }
    if (format == MT_REPORT_LATEX) fputs("% needs \\usepackage{booktabs}\n", f);
    for (size_t i = 0; format != MT_REPORT_HTML && i < d->n_blocks; i++) {
        const mt_block *b = d->blocks[i];
        if (format == MT_REPORT_MARKDOWN) print_markdown_block(b, f);
        if (format == MT_REPORT_MARKDOWN || b->kind != MT_TABLE) continue;
        fputs(between, f);
        between = "\n";
        if (format == MT_REPORT_CSV) print_csv_table(b, f);
        if (format == MT_REPORT_LATEX) print_latex_table(b, f);
    }
}
