/* SPDX-License-Identifier: Apache-2.0
 *
 * data_settings.c - see data_settings.h. */
#include "data/data_settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

static int report_unknown_setting(const char *of, const char *word, const task_data_setting *table, int n,
                                  lopt_error *err) {
    char names[256] = "";
    for (int i = 0; i < n; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s=", i ? ", " : "", table[i].name);
    }
    return task_set_error(err, LOPT_EARG, "data set %s: found \"%.80s\", expected %s", of, word,
                          n ? names : "no settings");
}

static int read_data_setting(const char *of, char *word, task_data_setting *table, int n, lopt_error *err) {
    char *equals = strchr(word, '='), *end;
    for (int i = 0; i < n; i++) {
        size_t length = strlen(table[i].name);
        if (!equals || length != (size_t)(equals - word) || memcmp(word, table[i].name, length) != 0) continue;
        double value = strtod(equals + 1, &end);
        if (end == equals + 1 || *end || !(value >= table[i].min && value <= table[i].max) ||
            (table[i].whole && value != floor(value))) {
            return task_set_error(err, LOPT_EARG, "data set %s: found %s, expected %s in [%g, %g]", of, word,
                                  table[i].whole ? "a whole number" : "a number", table[i].min, table[i].max);
        }
        table[i].value = value;
        return 1;
    }
    return report_unknown_setting(of, word, table, n, err);
}

int task_read_data_settings(const char *of, const char *text, task_data_setting *table, int n, lopt_error *err) {
    char words[512], *rest = words;
    snprintf(words, sizeof words, "%s", text);
    for (char *word; (word = strsep(&rest, " \t"));)
        if (*word && !read_data_setting(of, word, table, n, err)) return 0;
    return 1;
}
