/* SPDX-License-Identifier: Apache-2.0
 *
 * csv.c - see csv.h. */
#include "data/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

enum { MAX_COLUMNS = 65536, MAX_CLASSES = 65536, LABEL_BYTES = 64 };

typedef struct label {
    char text[LABEL_BYTES];
    double number; /* NaN where the text is none */
    size_t row;
} label;

typedef struct table {
    const char *line, *end; /* of what is still to be read */
    size_t n_lines;         /* read so far */
    int n_columns, label_column;
    label *labels;
    task_raw *raw;
    lopt_error *err;
} table;

/* The field at p, without blanks and quotes around it; moves p past its comma. */
static size_t read_next_field(const char **p, const char *end, const char **field) {
    const char *from = *p, *to = memchr(from, ',', (size_t)(end - from));
    if (!to) to = end;
    *p = to < end ? to + 1 : end;
    while (from < to && strchr(" \t\"", *from)) from++;
    while (to > from && strchr(" \t\r\"", to[-1])) to--;
    *field = from;
    return (size_t)(to - from);
}

/* A finite decimal number that takes the whole field. */
static int read_number_field(const char *field, size_t n, double *value) {
    char text[LABEL_BYTES], *end;
    if (n == 0 || n >= sizeof text || strspn(field, "+-.0123456789eE") < n) return 0;
    memcpy(text, field, n);
    text[n] = 0;
    *value = strtod(text, &end);
    return *end == 0 && isfinite(*value) && fabs(*value) < 1e30;
}

static int read_label_field(const char *field, size_t n, label *to) {
    if (n == 0 || n >= LABEL_BYTES) return 0;
    *to = (label){.number = NAN};
    memcpy(to->text, field, n);
    if (!read_number_field(field, n, &to->number)) to->number = NAN;
    return 1;
}

static int count_csv_columns(const char *line, const char *end) {
    int n = 1;
    for (const char *p = line; p < end && n <= MAX_COLUMNS; p++) n += *p == ',';
    return n;
}

/* One line into row i; 0 if it does not fit (column: which one). */
static int read_csv_row(const table *t, const char *line, const char *end, size_t i, int *column) {
    const char *field;
    float *to = t->raw->numbers + i * (size_t)(t->n_columns - 1);
    for (*column = 0; *column < t->n_columns; ++*column) {
        double value = 0;
        size_t n = read_next_field(&line, end, &field);
        int fits = *column == t->label_column ? read_label_field(field, n, &t->labels[i])
                                              : read_number_field(field, n, &value);
        if (!fits) return 0;
        if (*column != t->label_column) *to++ = (float)value;
    }
    t->labels[i].row = i;
    return 1;
}

/* The next line that is not empty; 0 at the end of the text. */
static int read_next_line(table *t, const char **line, const char **end) {
    while (t->line < t->end) {
        *line = t->line;
        *end = memchr(t->line, '\n', (size_t)(t->end - t->line));
        if (!*end) *end = t->end;
        t->line = *end < t->end ? *end + 1 : t->end;
        t->n_lines++;
        if (*end > *line && **line != '\r') return 1;
    }
    return 0;
}

static int read_csv_rows(table *t) {
    const char *line, *end;
    int column;
    while (read_next_line(t, &line, &end)) {
        size_t i = t->raw->n;
        int found = count_csv_columns(line, end);
        if (found != t->n_columns) {
            return task_set_error(t->err, LOPT_EARG, "%s:%zu: found %d columns, expected %d", t->raw->path, t->n_lines,
                                  found, t->n_columns);
        }
        if (read_csv_row(t, line, end, i, &column))
            t->raw->n++;
        else if (i > 0 || t->n_lines > 1 || column == t->label_column) {
            return task_set_error(t->err, LOPT_EARG, "%s:%zu: column %d is not a %s", t->raw->path, t->n_lines, column,
                                  column == t->label_column ? "label of 1 to 63 bytes" : "number");
        }
    }
    t->raw->n_labels = t->raw->n;
    return t->raw->n ? 1 : task_set_error(t->err, LOPT_EARG, "%s: holds no examples", t->raw->path);
}

static int compare_label_numbers(const void *a, const void *b) {
    double x = ((const label *)a)->number, y = ((const label *)b)->number;
    return (x > y) - (x < y);
}

static int compare_label_texts(const void *a, const void *b) {
    return strcmp(((const label *)a)->text, ((const label *)b)->text);
}

static int number_label_classes(table *t) {
    task_raw *raw = t->raw;
    int whole = 1, n_classes = 0;
    for (size_t i = 0; i < raw->n; i++) whole &= t->labels[i].number == floor(t->labels[i].number);
    int (*order)(const void *, const void *) = whole ? compare_label_numbers : compare_label_texts;
    qsort(t->labels, raw->n, sizeof *t->labels, order);
    for (size_t i = 0; i < raw->n; i++) {
        n_classes += i == 0 || order(&t->labels[i - 1], &t->labels[i]) != 0;
        raw->labels[t->labels[i].row] = n_classes - 1;
    }
    raw->n_classes = n_classes;
    if (n_classes <= MAX_CLASSES) return 1;
    return task_set_error(t->err, LOPT_EARG, "%s: column %d has %d different labels, allowed: %d", raw->path,
                          t->label_column, n_classes, MAX_CLASSES);
}

static size_t count_csv_lines(const char *text, size_t n) {
    size_t lines = 1;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    return lines;
}

int task_csv_parse(const char *text, size_t n, int label_column, task_raw *raw, lopt_error *err) {
    const char *line, *end;
    table t = {.line = text, .end = text + n, .raw = raw, .err = err};
    if (!read_next_line(&t, &line, &end)) return task_set_error(err, LOPT_EARG, "%s: holds no examples", raw->path);
    t.n_columns = count_csv_columns(line, end);
    t.label_column = label_column == -1 ? t.n_columns - 1 : label_column;
    if (t.n_columns < 2 || t.n_columns > MAX_COLUMNS || t.label_column >= t.n_columns) {
        return task_set_error(err, LOPT_EARG, "%s: line 1 has %d columns, expected 2 to %d, column %d being labels",
                              raw->path, t.n_columns, MAX_COLUMNS, label_column);
    }
    t.line = text, t.n_lines = 0;
    raw->rows = raw->channels = 1, raw->cols = t.n_columns - 1;
    size_t room = count_csv_lines(text, n);
    if (room > n / (2 * (size_t)t.n_columns - 1) + 1) room = n / (2 * (size_t)t.n_columns - 1) + 1;
    if (!task_raw_reserve(raw, room, 1, err)) return 0;
    t.labels = calloc(room, sizeof *t.labels);
    int done = t.labels ? read_csv_rows(&t) && number_label_classes(&t)
                        : task_set_error(err, LOPT_ENOMEM, "%s: out of memory", raw->path);
    free(t.labels);
    return done;
}
