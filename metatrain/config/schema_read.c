/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_read.c - a YAML tree into the struct that a schema of keys describes. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/schema.h"
#include "core/suggest.h"

/* ---- numbers --------------------------------------------------------------------------------- */

/* "[0, 1)": brackets say whether an end belongs to the range. */
static int in_range(double value, const char *range) {
    char opening, closing;
    double min, max;
    if (sscanf(range, "%c%lf, %lf%c", &opening, &min, &max, &closing) != 4) return 0;
    int above = opening == '(' ? value > min : value >= min;
    return above && (closing == ')' ? value < max : value <= max);
}

static size_t digits(const char *s) {
    return strspn(s, "0123456789");
}

/* -?(0|[1-9][0-9]*) and nothing after it: 010 and 0x10 mean other numbers to other readers. */
static int is_integer(const char *s) {
    s += *s == '-';
    size_t n = digits(s);
    return n > 0 && !s[n] && (s[0] != '0' || n == 1);
}

static int is_number(const char *s) {
    s += *s == '-';
    size_t whole = digits(s), fraction = 0;
    if (whole > 1 && s[0] == '0') return 0;
    s += whole;
    if (*s == '.') s += 1 + (fraction = digits(s + 1));
    if (whole + fraction == 0) return 0;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        if (!digits(s)) return 0;
        s += digits(s);
    }
    return !*s;
}

static int wrong(lopt_error *err, const mt_yaml *node, const char *path, const char *what, const char *range) {
    char found[MT_YAML_FOUND];
    return mt_yaml_error(err, node, path, "found %s, expected %s%s%s", mt_yaml_found(node, found), what,
                         range[0] ? " in " : "", range);
}

int mt_read_integer(const mt_yaml *node, const char *path, const char *range, long long *out, lopt_error *err) {
    int right = node->kind == MT_YAML_SCALAR && node->plain && is_integer(node->text);
    long long value = right ? strtoll(node->text, NULL, 10) : 0; /* too large: the largest, out of range */
    if (!right || !in_range((double)value, range)) return wrong(err, node, path, "an integer", range);
    *out = value;
    return 1;
}

int mt_read_number(const mt_yaml *node, const char *path, const char *range, double *out, lopt_error *err) {
    int right = node->kind == MT_YAML_SCALAR && node->plain && is_number(node->text);
    double value = right ? strtod(node->text, NULL) : NAN;
    if (!isfinite(value) || !in_range(value, range)) return wrong(err, node, path, "a number", range);
    *out = value;
    return 1;
}

static int read_seed(const mt_yaml *node, const char *path, uint64_t *out, lopt_error *err) {
    int right = node->kind == MT_YAML_SCALAR && node->plain && is_integer(node->text) && node->text[0] != '-';
    errno = 0;
    unsigned long long value = right ? strtoull(node->text, NULL, 10) : 0;
    if (!right || errno) return wrong(err, node, path, "an integer", "[0, 18446744073709551615]");
    *out = value;
    return 1;
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Word number i of "a|b|c" into word; 0 past the last. */
static int choice_at(const char *choices, int i, char *word, size_t word_bytes) {
    for (; i > 0; i--) {
        choices += strcspn(choices, "|");
        if (!*choices++) return 0;
    }
    snprintf(word, word_bytes, "%.*s", (int)strcspn(choices, "|"), choices);
    return 1;
}

void mt_key_choice(const mt_key *key, int value, char *word, size_t word_bytes) {
    if (!choice_at(key->range, value, word, word_bytes)) word[0] = 0;
}

int mt_read_choice(const mt_yaml *node, const char *path, const char *choices, int *out, lopt_error *err) {
    char word[64], found[MT_YAML_FOUND], list[256] = "";
    for (int i = 0; choice_at(choices, i, word, sizeof word); i++) {
        if (node->kind == MT_YAML_SCALAR && strcmp(node->text, word) == 0) {
            *out = i;
            return 1;
        }
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", word);
    }
    return mt_yaml_error(err, node, path, "found %s, expected one of %s", mt_yaml_found(node, found), list);
}

static int read_text(const mt_key *key, const mt_yaml *node, const char *path, char *out, lopt_error *err) {
    char expected[64];
    int may_be_empty = !key->range || strcmp(key->range, "filled") != 0;
    snprintf(expected, sizeof expected, "a text of %s%zu bytes", may_be_empty ? "at most " : "1 to ", key->bytes - 1);
    int right = node->kind == MT_YAML_SCALAR && strlen(node->text) < key->bytes;
    if (!right || (!may_be_empty && !node->text[0])) return wrong(err, node, path, expected, "");
    memcpy(out, node->text, strlen(node->text) + 1);
    return 1;
}

void mt_key_path(char path[MT_KEY_PATH], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(path, MT_KEY_PATH, format, args);
    va_end(args);
}

/* ---- values ---------------------------------------------------------------------------------- */

static int fill_value(const mt_key *key, const mt_yaml *node, const char *path, char *out, lopt_error *err) {
    long long integer = 0;
    int choice = 0;
    switch (key->type) {
    case MT_KEY_INTEGER:
        if (!mt_read_integer(node, path, key->range, &integer, err)) return 0;
        if (key->bytes == sizeof(int))
            *(int *)out = (int)integer;
        else
            *(int64_t *)out = integer;
        return 1;
    case MT_KEY_SEED:
        return read_seed(node, path, (uint64_t *)out, err);
    case MT_KEY_NUMBER:
        return mt_read_number(node, path, key->range, (double *)out, err);
    case MT_KEY_CHOICE:
        if (!mt_read_choice(node, path, key->range, &choice, err)) return 0;
        *(int *)out = choice;
        return 1;
    default:
        return read_text(key, node, path, out, err);
    }
}

static int fill_map(const mt_schema *schema, const mt_yaml *map, const char *inside, const char *path, void *into,
                    lopt_error *err);

static int fill_item(const mt_schema *items, const mt_yaml *node, const char *path, void *into, lopt_error *err) {
    char found[MT_YAML_FOUND], inside[MT_KEY_PATH];
    if (node->kind != MT_YAML_MAP)
        return mt_yaml_error(err, node, path, "found %s, expected a mapping", mt_yaml_found(node, found));
    mt_key_path(inside, "%s.", path);
    mt_schema_defaults(items, into);
    return fill_map(items, node, "", inside, into, err) && (!items->finish || items->finish(into, node, inside, err));
}

static int fill_list(const mt_key *key, const mt_yaml *node, const char *path, char *base, lopt_error *err) {
    char found[MT_YAML_FOUND], where[MT_KEY_PATH];
    size_t max = (size_t)key->max_n, stride = key->items ? key->items->bytes : key->bytes;
    if (node->kind != MT_YAML_LIST)
        return mt_yaml_error(err, node, path, "found %s, expected a list [...]", mt_yaml_found(node, found));
    int exactly = key->n_at == MT_NOWHERE, needs_one = key->items && strcmp(key->standard, "[]") != 0;
    if (node->n > max || (exactly && node->n != max) || (needs_one && node->n == 0))
        return mt_yaml_error(err, node, path, "found %zu values, expected %s%zu", node->n,
                             exactly     ? ""
                             : needs_one ? "1 to "
                                         : "at most ",
                             max);
    for (size_t i = 0; i < node->n; i++) {
        mt_key_path(where, "%s.%zu", path, i);
        char *out = base + key->at + i * stride;
        int ok = key->items ? fill_item(key->items, node->child[i], where, out, err)
                            : fill_value(key, node->child[i], where, out, err);
        if (!ok) return 0;
    }
    if (!exactly) *(int *)(base + key->n_at) = (int)node->n;
    return 1;
}

/* ---- tables ---------------------------------------------------------------------------------- */

const mt_key *mt_schema_find(const mt_schema *schema, const char *path) {
    for (size_t i = 0; i < schema->n; i++)
        if (strcmp(schema->keys[i].path, path) == 0) return &schema->keys[i];
    return NULL;
}

/* Whether keys begin with "path." */
static int is_section(const mt_schema *schema, const char *path) {
    size_t n = strlen(path);
    for (size_t i = 0; i < schema->n; i++) {
        const char *p = schema->keys[i].path;
        if (strncmp(p, path, n) == 0 && p[n] == '.' && p[n + 1] != '*') return 1;
    }
    return 0;
}

static int unknown_key(const mt_schema *schema, const mt_yaml *node, const char *inside, const char *path,
                       lopt_error *err) {
    char word[MT_KEY_PATH], text[MT_KEY_PATH + 32];
    mt_key_path(word, "%s%s", inside, node->key);
    lopt__suggestion s = lopt__suggestion_for(word);
    for (size_t i = 0; i < schema->n; i++) lopt__suggest_name(&s, schema->keys[i].path);
    return mt_yaml_error(err, node, "", "found the unknown key %s%s, expected a key of `metatrain list keys`%s", path,
                         word, lopt__suggestion_text(&s, text, sizeof text));
}

/* Fills from one mapping. inside: its path in the schema, with a dot at its end; path: that of
 * the item the schema describes. */
static int fill_map(const mt_schema *schema, const mt_yaml *map, const char *inside, const char *path, void *into,
                    lopt_error *err) {
    char within[MT_KEY_PATH], where[MT_KEY_PATH], found[MT_YAML_FOUND], rest[MT_KEY_PATH];
    mt_key_path(rest, "%s*", inside);
    const mt_key *settings = mt_schema_find(schema, rest);
    for (size_t i = 0; i < map->n; i++) {
        const mt_yaml *node = map->child[i];
        mt_key_path(within, "%s%s", inside, node->key);
        mt_key_path(where, "%s%s", path, within);
        const mt_key *key = mt_schema_find(schema, within);
        if (key && key != settings) {
            char *out = (char *)into + key->at;
            int ok = key->max_n ? fill_list(key, node, where, into, err) : fill_value(key, node, where, out, err);
            if (!ok) return 0;
        } else if (is_section(schema, within)) {
            if (node->kind != MT_YAML_MAP)
                return mt_yaml_error(err, node, where, "found %s, expected a mapping", mt_yaml_found(node, found));
            mt_key_path(rest, "%s.", within);
            if (!fill_map(schema, node, rest, path, into, err)) return 0;
        } else if (!settings) {
            return unknown_key(schema, node, inside, path, err);
        }
    }
    if (!settings) return 1;
    int *swept = settings->n_at == MT_NOWHERE ? NULL : (int *)((char *)into + settings->n_at);
    mt_key_path(where, "%s%s", path, inside);
    return mt_settings_fill(schema, inside, map, where, (void *)((char *)into + settings->at), swept, err);
}

/* The defaults are text like a user's, so that they pass the same checks (a test reads every
 * one). */
static void fill_default(const mt_key *key, void *into) {
    mt_yaml *node = mt_yaml_read(key->standard, strlen(key->standard), "default", NULL);
    if (!node) return;
    if (key->max_n)
        fill_list(key, node, key->path, into, NULL);
    else
        fill_value(key, node, key->path, (char *)into + key->at, NULL);
    mt_yaml_free(node);
}

void mt_schema_defaults(const mt_schema *schema, void *into) {
    memset(into, 0, schema->bytes);
    if (schema->begin) schema->begin(into);
    for (size_t i = 0; i < schema->n; i++)
        if (schema->keys[i].standard) fill_default(&schema->keys[i], into);
}

int mt_schema_seed_lists(const mt_schema *schema, mt_yaml *root, lopt_error *err) {
    char assignment[512];
    for (size_t i = 0; i < schema->n; i++) {
        const mt_key *key = &schema->keys[i];
        if (!key->max_n || !key->standard || mt_yaml_find(root, key->path)) continue;
        snprintf(assignment, sizeof assignment, "%s=%s", key->path, key->standard);
        if (!mt_yaml_override(root, assignment, err)) return 0;
    }
    return 1;
}

int mt_schema_fill(const mt_schema *schema, const mt_yaml *root, void *into, lopt_error *err) {
    char found[MT_YAML_FOUND];
    if (root->kind != MT_YAML_MAP)
        return mt_yaml_error(err, root, "", "found %s, expected keys and values", mt_yaml_found(root, found));
    mt_schema_defaults(schema, into);
    return fill_map(schema, root, "", "", into, err) && (!schema->finish || schema->finish(into, root, "", err));
}
