/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_read.c - a YAML tree into the struct that a schema describes. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/scalar.h"
#include "config/schema.h"
#include "core/suggest.h"

/* ---- values ---------------------------------------------------------------------------------- */

static int read_string_value(const mt_key *key, const mt_yaml *node, const char *path, char *out, lopt_error *err) {
    char expected[64];
    int may_be_empty = !key->range || strcmp(key->range, "filled") != 0;
    snprintf(expected, sizeof expected, "a string of %s%zu bytes", may_be_empty ? "at most " : "1 to ", key->bytes - 1);
    int right = node->kind == MT_YAML_SCALAR && strlen(node->text) < key->bytes;
    if (!right || (!may_be_empty && !node->text[0])) return mt_scalar_error(err, node, path, expected, "");
    memcpy(out, node->text, strlen(node->text) + 1);
    return 1;
}

static int fill_single_value(const mt_key *key, const mt_yaml *node, const char *path, char *out, lopt_error *err) {
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
        return mt_read_seed(node, path, (uint64_t *)out, err);
    case MT_KEY_NUMBER:
        return mt_read_number(node, path, key->range, (double *)out, err);
    case MT_KEY_CHOICE:
        if (!mt_read_choice(node, path, key->range, &choice, err)) return 0;
        *(int *)out = choice;
        return 1;
    default:
        return read_string_value(key, node, path, out, err);
    }
}

static int fill_from_mapping(const mt_schema *schema, const mt_yaml *map, const char *inside, const char *path,
                             void *into, lopt_error *err);

static int check_filled_item(const mt_schema *schema, const mt_yaml *node, const char *path, void *into,
                             lopt_error *err) {
    mt_key_item item = {into, node, path, err};
    for (size_t i = 0; i < schema->n_checks; i++)
        if (!schema->checks[i].holds(&item)) return 0;
    if (schema->finish) schema->finish(into);
    return 1;
}

static int fill_list_item(const mt_schema *items, const mt_yaml *node, const char *path, void *into, lopt_error *err) {
    char found[MT_YAML_FOUND], inside[MT_KEY_PATH];
    if (node->kind != MT_YAML_MAP)
        return mt_yaml_error(err, node, path, "found %s, expected a mapping", mt_yaml_found(node, found));
    mt_key_path(inside, "%s.", path);
    return mt_schema_defaults(items, into, err) && fill_from_mapping(items, node, "", inside, into, err) &&
           check_filled_item(items, node, inside, into, err);
}

static int fill_list_values(const mt_key *key, const mt_yaml *node, const char *path, char *base, lopt_error *err) {
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
        int ok = key->items ? fill_list_item(key->items, node->child[i], where, out, err)
                            : fill_single_value(key, node->child[i], where, out, err);
        if (!ok) return 0;
    }
    if (!exactly) *(int *)(base + key->n_at) = (int)node->n;
    return 1;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Whether keys begin with "path." */
static int is_key_section(const mt_schema *schema, const char *path) {
    size_t n = strlen(path);
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);)
        if (strncmp(w.key.path, path, n) == 0 && w.key.path[n] == '.' && w.key.path[n + 1] != '*') return 1;
    return 0;
}

static int report_unknown_key(const mt_schema *schema, const mt_yaml *node, const char *inside, const char *path,
                              lopt_error *err) {
    char word[MT_KEY_PATH], text[MT_KEY_PATH + 32];
    mt_key_path(word, "%s%s", inside, node->key);
    lopt__suggestion s = lopt__suggestion_for(word);
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);) lopt__suggest_name(&s, w.key.path);
    return mt_yaml_error(err, node, "", "found the unknown key %s%s, expected a key of `metatrain list keys`%s", path,
                         word, lopt__suggestion_text(&s, text, sizeof text));
}

/* Fills from one mapping. inside: its path in the schema, with a dot at its end; path: that of
 * the item the schema describes. */
static int fill_from_mapping(const mt_schema *schema, const mt_yaml *map, const char *inside, const char *path,
                             void *into, lopt_error *err) {
    char within[MT_KEY_PATH], where[MT_KEY_PATH], found[MT_YAML_FOUND], rest[MT_KEY_PATH];
    mt_key_path(rest, "%s*", inside);
    mt_key settings, key;
    int has_settings = mt_find_key(schema, rest, &settings);
    for (size_t i = 0; i < map->n; i++) {
        const mt_yaml *node = map->child[i];
        mt_key_path(within, "%s%s", inside, node->key);
        mt_key_path(where, "%s%s", path, within);
        if (mt_find_key(schema, within, &key) && key.type != MT_KEY_SETTINGS) {
            char *out = (char *)into + key.at;
            int ok = key.max_n ? fill_list_values(&key, node, where, into, err)
                               : fill_single_value(&key, node, where, out, err);
            if (!ok) return 0;
        } else if (is_key_section(schema, within)) {
            if (node->kind != MT_YAML_MAP)
                return mt_yaml_error(err, node, where, "found %s, expected a mapping", mt_yaml_found(node, found));
            mt_key_path(rest, "%s.", within);
            if (!fill_from_mapping(schema, node, rest, path, into, err)) return 0;
        } else if (!has_settings) {
            return report_unknown_key(schema, node, inside, path, err);
        }
    }
    if (!has_settings) return 1;
    int *swept = settings.n_at == MT_NOWHERE ? NULL : (int *)((char *)into + settings.n_at);
    mt_key_path(where, "%s%s", path, inside);
    return mt_settings_fill(schema, inside, map, where, (void *)((char *)into + settings.at), swept, err);
}

/* The defaults are text like a user's, so that they pass the same checks (a test reads every
 * one). */
static int fill_default_value(const mt_key *key, void *into, lopt_error *err) {
    mt_yaml *node = mt_yaml_read(key->standard, strlen(key->standard), "default", err);
    int ok = node && (key->max_n ? fill_list_values(key, node, key->path, into, err)
                                 : fill_single_value(key, node, key->path, (char *)into + key->at, err));
    mt_yaml_free(node);
    return ok;
}

int mt_schema_defaults(const mt_schema *schema, void *into, lopt_error *err) {
    memset(into, 0, schema->bytes);
    if (schema->begin) schema->begin(into);
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);)
        if (w.key.standard && !fill_default_value(&w.key, into, err)) return 0;
    return 1;
}

int mt_schema_seed_lists(const mt_schema *schema, mt_yaml *root, lopt_error *err) {
    char assignment[512];
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);) {
        if (!w.key.max_n || !w.key.standard || mt_yaml_find(root, w.key.path)) continue;
        snprintf(assignment, sizeof assignment, "%s=%s", w.key.path, w.key.standard);
        if (!mt_yaml_override(root, assignment, err)) return 0;
    }
    return 1;
}

int mt_schema_fill(const mt_schema *schema, const mt_yaml *root, void *into, lopt_error *err) {
    char found[MT_YAML_FOUND];
    if (root->kind != MT_YAML_MAP)
        return mt_yaml_error(err, root, "", "found %s, expected keys and values", mt_yaml_found(root, found));
    return mt_schema_defaults(schema, into, err) && fill_from_mapping(schema, root, "", "", into, err) &&
           check_filled_item(schema, root, "", into, err);
}
