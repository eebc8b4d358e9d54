/* SPDX-License-Identifier: Apache-2.0
 *
 * rows.c - rows of results and how tables show them. See bench.h. */
#include <math.h>
#include <string.h>

#include "base/text_table.h"
#include "bench/bench.h"

#define MAX_COLUMNS 12
#define CELL 96

json_t *mt_bench_number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *mt_bench_spread(mt_spread s) {
    return json_pack("{s:o, s:o, s:o}", "median", mt_bench_number(s.median), "min", mt_bench_number(s.min), "max",
                     mt_bench_number(s.max));
}

json_t *mt_bench_skipped(const char *key, const char *name, const char *sentence) {
    return json_pack("{s:s, s:s}", key, name, "skipped", sentence);
}

/* 0.012, 1.23, 12.3, 123, 12,300, 1.23e+06: three digits. */
static void show_number(double x, char *cell) {
    double size = fabs(x);
    int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;
    long long whole = llround(size / 100) * 100;
    if (size >= 999950)
        snprintf(cell, CELL, "%.3g", x);
    else if (size < 9999.5)
        snprintf(cell, CELL, "%.*f", decimals, x);
    else
        snprintf(cell, CELL, "%s%lld,%03lld", x < 0 ? "-" : "", whole / 1000, whole % 1000);
}

static double member_at(const json_t *value, const char *name) {
    const json_t *at = json_is_object(value) ? json_object_get(value, name) : value;
    return json_is_number(at) ? json_number_value(at) : NAN;
}

static void show_value(const json_t *value, mt_bench_format format, char *cell) {
    char least[CELL];
    if (format == MT_SHOW_TEXT) {
        snprintf(cell, CELL, "%s", json_is_string(value) ? json_string_value(value) : "-");
    } else if (format == MT_SHOW_COUNT) {
        snprintf(cell, CELL, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (!isfinite(member_at(value, "median"))) {
        snprintf(cell, CELL, "-");
    } else if (format == MT_SHOW_PERCENT) {
        double percent = 100 * member_at(value, "median");
        snprintf(cell, CELL, fabs(percent) < 9.95 ? "%.1f %%" : "%.0f %%", percent);
    } else if (format == MT_SHOW_RANGE) {
        show_number(member_at(value, "min"), least);
        show_number(member_at(value, "max"), cell);
        char most[CELL];
        memcpy(most, cell, sizeof most);
        snprintf(cell, CELL, "%.40s - %.40s", least, most);
    } else
        show_number(member_at(value, "median"), cell);
}

void mt_bench_print(const json_t *rows, const mt_bench_column *columns, size_t n, FILE *f) {
    mt_column heads[MAX_COLUMNS];
    size_t i, row, measured = 0;
    const json_t *at;
    for (i = 0; i < n; i++) heads[i] = (mt_column){columns[i].heading, columns[i].format == MT_SHOW_TEXT ? 'l' : 'r'};
    mt_text_table *table = mt_text_table_create(heads, n);
    if (!table) return;
    json_array_foreach(rows, row, at) {
        char cells[MAX_COLUMNS][CELL];
        const char *texts[MAX_COLUMNS];
        if (json_object_get(at, "skipped")) continue;
        for (i = 0; i < n; i++) {
            show_value(json_object_get(at, columns[i].key), columns[i].format, cells[i]);
            texts[i] = cells[i];
        }
        mt_text_table_row(table, texts);
        measured++;
    }
    if (measured) mt_text_table_print(table, f);
    mt_text_table_free(table);
    json_array_foreach(rows, row, at) {
        const char *why = json_string_value(json_object_get(at, "skipped"));
        const char *name = json_string_value(json_object_get(at, columns[0].key));
        if (why) fprintf(f, "%s is left out: %s\n", name ? name : "a row", why);
    }
}
