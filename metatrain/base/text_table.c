/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text_table.h"

#include <stdlib.h>
#include <string.h>

#define GAP 2

struct mt_text_table {
    const mt_column *columns;
    size_t n_columns, n_rows, capacity;
    char **cells; /* [n_rows][n_columns] */
};

mt_text_table *mt_text_table_create(const mt_column *columns, size_t n_columns) {
    mt_text_table *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->columns = columns;
    t->n_columns = n_columns;
    return t;
}

void mt_text_table_row(mt_text_table *t, const char *const *cells) {
    if (t->n_rows == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 16;
        char **larger = realloc(t->cells, capacity * t->n_columns * sizeof *larger);
        if (larger == NULL) return;
        t->cells = larger;
        t->capacity = capacity;
    }
    char **row = t->cells + t->n_rows++ * t->n_columns;
    for (size_t i = 0; i < t->n_columns; i++) row[i] = strdup(cells[i]);
}

/* Characters of UTF-8: bytes that do not continue one. */
static int display_width(const char *text) {
    int n = 0;
    for (; text != NULL && *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int column_width(const mt_text_table *t, size_t column) {
    int widest = display_width(t->columns[column].heading);
    for (size_t i = 0; i < t->n_rows; i++) {
        int w = display_width(t->cells[i * t->n_columns + column]);
        if (w > widest) widest = w;
    }
    return widest;
}

static void print_table_row(const mt_text_table *t, const char *const *cells, FILE *f) {
    for (size_t i = 0; i < t->n_columns; i++) {
        const char *text = cells != NULL ? cells[i] : t->columns[i].heading;
        int last = i + 1 == t->n_columns, left = t->columns[i].side == 'l';
        int blanks = column_width(t, i) - display_width(text);
        if (!left) fprintf(f, "%*s", blanks, "");
        fputs(text != NULL ? text : "", f);
        if (!last) fprintf(f, "%*s", GAP + (left ? blanks : 0), "");
    }
    fputc('\n', f);
}

void mt_text_table_print(const mt_text_table *t, FILE *f) {
    print_table_row(t, NULL, f);
    for (size_t i = 0; i < t->n_rows; i++) print_table_row(t, (const char *const *)(t->cells + i * t->n_columns), f);
}

void mt_text_table_free(mt_text_table *t) {
    if (t == NULL) return;
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) free(t->cells[i]);
    free(t->cells);
    free(t);
}
