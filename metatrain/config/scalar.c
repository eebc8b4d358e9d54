/* SPDX-License-Identifier: Apache-2.0
 *
 * scalar.c - see scalar.h. */
#include "config/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task.h"

static size_t count_digits(const char *s) {
    return strspn(s, "0123456789");
}

/* -?(0|[1-9][0-9]*) and nothing after it: 010 and 0x10 mean other numbers to other readers. */
static int is_integer_text(const char *s) {
    s += *s == '-';
    size_t n = count_digits(s);
    return n > 0 && !s[n] && (s[0] != '0' || n == 1);
}

static int is_number_text(const char *s) {
    s += *s == '-';
    size_t whole = count_digits(s), fraction = 0;
    if (whole > 1 && s[0] == '0') return 0;
    s += whole;
    if (*s == '.') s += 1 + (fraction = count_digits(s + 1));
    if (whole + fraction == 0) return 0;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        if (!count_digits(s)) return 0;
        s += count_digits(s);
    }
    return !*s;
}

int mt_scalar_error(lopt_error *err, const mt_yaml *node, const char *path, const char *what, const char *range) {
    char found[MT_YAML_FOUND];
    return mt_yaml_error(err, node, path, "found %s, expected %s%s%s", mt_yaml_found(node, found), what,
                         range[0] ? " in " : "", range);
}

int mt_read_integer(const mt_yaml *node, const char *path, const char *range, long long *out, lopt_error *err) {
    int right = node->kind == MT_YAML_SCALAR && node->plain && is_integer_text(node->text);
    long long value = right ? strtoll(node->text, NULL, 10) : 0; /* too large: the largest, out of range */
    if (!right || !task_is_in_range(range, (double)value)) return mt_scalar_error(err, node, path, "an integer", range);
    *out = value;
    return 1;
}

int mt_read_number(const mt_yaml *node, const char *path, const char *range, double *out, lopt_error *err) {
    int right = node->kind == MT_YAML_SCALAR && node->plain && is_number_text(node->text);
    double value = right ? strtod(node->text, NULL) : NAN;
    if (!isfinite(value) || !task_is_in_range(range, value)) return mt_scalar_error(err, node, path, "a number", range);
    *out = value;
    return 1;
}

int mt_read_seed(const mt_yaml *node, const char *path, uint64_t *out, lopt_error *err) {
    int right = node->kind == MT_YAML_SCALAR && node->plain && is_integer_text(node->text) && node->text[0] != '-';
    errno = 0;
    unsigned long long value = right ? strtoull(node->text, NULL, 10) : 0;
    if (!right || errno) return mt_scalar_error(err, node, path, "an integer", "[0, 18446744073709551615]");
    *out = value;
    return 1;
}

int mt_read_choice(const mt_yaml *node, const char *path, const char *choices, int *out, lopt_error *err) {
    char found[MT_YAML_FOUND], list[256] = "";
    *out = node->kind == MT_YAML_SCALAR ? task_choice_index(choices, node->text) : -1;
    if (*out >= 0) return 1;
    for (const char *c = choices; *c; c += *c == '|') {
        size_t n = strcspn(c, "|"), used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%.*s", used ? ", " : "", (int)n, c);
        c += n;
    }
    return mt_yaml_error(err, node, path, "found %s, expected one of %s", mt_yaml_found(node, found), list);
}

void mt_number_text(double value, char text[32]) {
    int whole = value > -1e7 && value < 1e7 && value == (double)(long)value; /* 100 rather than 1e+02 */
    if (whole) {
        snprintf(text, 32, "%ld", (long)value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}
