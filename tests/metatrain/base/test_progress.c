/* SPDX-License-Identifier: Apache-2.0
 *
 * The progress line where stderr is no terminal, tables, and numbers as people read them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/text_table.h"

static void assert_count(double value, const char *expected) {
    char text[32];
    mt_format_count(value, text, sizeof text);
    cr_assert(strcmp(text, expected) == 0, "%g prints as %s, expected %s", value, text, expected);
}

static void assert_seconds(double value, const char *expected) {
    char text[32];
    mt_format_seconds(value, text, sizeof text);
    cr_assert(strcmp(text, expected) == 0, "%g s print as %s, expected %s", value, text, expected);
}

Test(progress, counts) {
    assert_count(0, "0");
    assert_count(950, "950");
    assert_count(999.6, "1.00k");
    assert_count(9994, "9.99k");
    assert_count(31020, "31.0k");
    assert_count(99960, "100k");
    assert_count(2.5e6, "2.50M");
    assert_count(1e15, "1000T");
}

Test(progress, seconds) {
    assert_seconds(0.4, "0:00");
    assert_seconds(75, "1:15");
    assert_seconds(59.7, "1:00");
    assert_seconds(3599, "59:59");
    assert_seconds(3700, "1:01:40");
    assert_seconds(-1, "0:00");
}

/* Runs `print` with stderr in a file and returns what it printed. */
static void capture(void (*print)(void), char *text, size_t bytes) {
    FILE *f = tmpfile();
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(f), STDERR_FILENO);
    print();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(f);
    text[fread(text, 1, bytes - 1, f)] = '\0';
    fclose(f);
}

static void hundred_quick_updates(void) {
    mt_progress p;
    mt_progress_start(&p, "outer step", 20, 120);
    for (int i = 21; i <= 120; i++) mt_progress_update(&p, i, i == 120 ? "last" : "on the way");
    mt_progress_clear(&p);
    mt_progress_finish(&p);
}

Test(progress, a_log_has_the_first_and_the_last) {
    char text[4096];
    capture(hundred_quick_updates, text, sizeof text);
    cr_assert(strncmp(text, "outer step 21/120  on the way  ", 31) == 0, "%s", text);
    cr_assert(strstr(text, " left\n") != NULL, "no time left: %s", text);
    cr_assert(strstr(text, "\nouter step 120/120  last\n") != NULL, "%s", text);
    cr_assert(strchr(text, '\r') == NULL, "control characters in a log: %s", text);
    size_t lines = 0;
    for (const char *c = text; *c; c++) lines += *c == '\n';
    cr_assert(lines <= 4, "%zu lines within moments: %s", lines, text);
}

Test(table, columns_line_up) {
    static const mt_column columns[] = {{"name", 'l'}, {"loss", 'r'}, {"note", 'l'}};
    mt_text_table *t = mt_text_table_create(columns, 3);
    mt_text_table_row(t, (const char *[]){"adam", "0.5±0.1", ""});
    mt_text_table_row(t, (const char *[]){"small-fc", "10", "x"});
    FILE *f = tmpfile();
    mt_text_table_print(t, f);
    mt_text_table_free(t);
    rewind(f);
    char text[512] = "";
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    cr_assert(strcmp(text, "name         loss  note\n"
                           "adam      0.5±0.1  \n"
                           "small-fc       10  x\n") == 0,
              "%s", text);
}
