/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_tree.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"

#define SET "--set"

/* ---- messages -------------------------------------------------------------------------------- */

int mt_yaml_error(lopt_error *err, const mt_yaml *node, const char *path, const char *format, ...) {
    if (!err) return 0;
    va_list args;
    size_t room = sizeof err->text;
    int n = node->line > 0 ? snprintf(err->text, room, "%.200s:%d: ", node->source, node->line)
                           : snprintf(err->text, room, "%.200s: ", node->source);
    if (path[0]) n += snprintf(err->text + n, room - (size_t)n, "%.100s: ", path);
    va_start(args, format);
    vsnprintf(err->text + n, room - (size_t)n, format, args);
    va_end(args);
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127) *c = '?';
    err->status = LOPT_EARG;
    return 0;
}

/* Where an error lies that is not of one node. */
#define AT_LINE(source_, line_) (&(mt_yaml){.source = (source_), .line = (line_)})
#define IN_SET AT_LINE(SET, 0)

const char *mt_yaml_found(const mt_yaml *node, char text[MT_YAML_FOUND]) {
    if (node->kind == MT_YAML_LIST) return "a list";
    if (node->kind == MT_YAML_MAP) return "a mapping";
    if (!node->text[0]) return node->plain ? "nothing" : "an empty string";
    const char *quote = node->plain ? "" : "\"", *more = strlen(node->text) > 40 ? "..." : "";
    snprintf(text, MT_YAML_FOUND, "%s%.40s%s%s", quote, node->text, more, quote);
    return text;
}

/* ---- the tree -------------------------------------------------------------------------------- */

void mt_yaml_free(mt_yaml *node) {
    if (!node) return;
    for (size_t i = 0; i < node->n; i++) mt_yaml_free(node->child[i]);
    free(node->child);
    free(node->key);
    free(node->text);
    free(node);
}

static mt_yaml *create_yaml_node(mt_yaml_kind kind, const char *source, int line) {
    mt_yaml *node = calloc(1, sizeof *node);
    if (node) *node = (mt_yaml){.kind = kind, .source = source, .line = line};
    return node;
}

mt_yaml *mt_yaml_empty(const char *source) {
    return create_yaml_node(MT_YAML_MAP, source, 0);
}

/* Takes the child over, also when it fails. */
static int append_yaml_child(mt_yaml *parent, mt_yaml *child) {
    int room = child && parent->n < MT_YAML_MAX_BYTES; /* a value takes a byte at least */
    mt_yaml **grown = room ? realloc(parent->child, (parent->n + 1) * sizeof *grown) : NULL;
    if (!grown) {
        mt_yaml_free(child);
        return 0;
    }
    parent->child = grown;
    parent->child[parent->n++] = child;
    return 1;
}

static mt_yaml **find_mapping_key(const mt_yaml *map, const char *key, size_t length) {
    for (size_t i = 0; i < map->n; i++)
        if (strlen(map->child[i]->key) == length && memcmp(map->child[i]->key, key, length) == 0) return &map->child[i];
    return NULL;
}

/* A decimal index of at most four digits, or -1. */
static long parse_list_index(const char *name, size_t length) {
    long index = 0;
    if (length < 1 || length > 4) return -1;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)name[i])) return -1;
        index = 10 * index + (name[i] - '0');
    }
    return index;
}

static mt_yaml **find_yaml_child(const mt_yaml *node, const char *name, size_t length) {
    if (node->kind == MT_YAML_MAP) return find_mapping_key(node, name, length);
    long index = node->kind == MT_YAML_LIST ? parse_list_index(name, length) : -1;
    return index >= 0 && (size_t)index < node->n ? &node->child[index] : NULL;
}

/* Follows path as far as it exists; *rest is what remains ("" when all of it does). */
static const mt_yaml *follow_yaml_path(const mt_yaml *node, const char *path, const char **rest) {
    while (*path) {
        size_t length = strcspn(path, ".");
        mt_yaml **child = find_yaml_child(node, path, length);
        if (!child) break;
        node = *child;
        path += length + (path[length] == '.');
    }
    *rest = path;
    return node;
}

mt_yaml *mt_yaml_find(const mt_yaml *root, const char *path) {
    const char *rest;
    const mt_yaml *node = follow_yaml_path(root, path, &rest);
    return *rest ? NULL : (mt_yaml *)node;
}

const mt_yaml *mt_yaml_nearest(const mt_yaml *root, const char *path) {
    const char *rest;
    return follow_yaml_path(root, path, &rest);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct reader {
    yaml_parser_t parser;
    const char *text, *source;
    int lines; /* nodes get line numbers */
    lopt_error *err;
    mt_yaml *root, *open[MT_YAML_MAX_DEPTH]; /* open: mappings and lists that have not ended, from the root on */
    int n_open, key_line;
    char *key; /* of the mapping's next value; NULL: the next scalar is one */
} reader;

static int line_of_mark(const reader *r, yaml_mark_t mark) {
    return r->lines ? (int)mark.line + 1 : 0;
}

static int report_no_memory(const reader *r) {
    return mt_error(r->err, LOPT_ENOMEM, "%.200s: out of memory", r->source);
}

static int report_parser_error(const reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return report_no_memory(r);
    int line = line_of_mark(r, p->problem_mark);
    if (p->error == YAML_READER_ERROR && r->lines) { /* has an offset, but no mark */
        line = 1;
        for (size_t i = 0; i < p->problem_offset && r->text[i]; i++) line += r->text[i] == '\n';
    }
    return mt_yaml_error(r->err, AT_LINE(r->source, line), "",
                         "found text that is not YAML (%s), expected keys and values",
                         p->problem ? p->problem : "unknown error");
}

/* Anchors and tags are refused where they stand, so that nothing can refer back. */
static int has_anchor_or_tag(const yaml_event_t *e) {
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor || e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor || e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor || e->data.mapping_start.tag;
    default:
        return 1; /* an alias */
    }
}

static char *copy_scalar_text(reader *r, const yaml_event_t *e, const mt_yaml *at) {
    const char *value = (const char *)e->data.scalar.value;
    if (strlen(value) != e->data.scalar.length) {
        mt_yaml_error(r->err, at, "", "found a zero byte, expected text");
        return NULL;
    }
    char *copy = strdup(value);
    if (!copy) report_no_memory(r);
    return copy;
}

static int read_mapping_key(reader *r, const mt_yaml *map, const yaml_event_t *e, const mt_yaml *at) {
    if (e->type != YAML_SCALAR_EVENT || has_anchor_or_tag(e))
        return mt_yaml_error(r->err, at, "", "found a key that is not a plain name, expected a name");
    r->key = copy_scalar_text(r, e, at);
    r->key_line = at->line;
    if (!r->key || !find_mapping_key(map, r->key, strlen(r->key))) return r->key != NULL;
    return mt_yaml_error(r->err, at, "", "%.60s: found the key a second time, expected it once", r->key);
}

/* An event that begins a key or a value. */
static int read_yaml_node(reader *r, const yaml_event_t *e) {
    const mt_yaml *at = AT_LINE(r->source, line_of_mark(r, e->start_mark));
    mt_yaml *parent = r->n_open ? r->open[r->n_open - 1] : NULL;
    mt_yaml_kind kind = e->type == YAML_SEQUENCE_START_EVENT  ? MT_YAML_LIST
                        : e->type == YAML_MAPPING_START_EVENT ? MT_YAML_MAP
                                                              : MT_YAML_SCALAR;
    if (parent && parent->kind == MT_YAML_MAP && !r->key) return read_mapping_key(r, parent, e, at);
    if (!parent && r->root) return mt_yaml_error(r->err, at, "", "found a second YAML document, expected one");
    if (has_anchor_or_tag(e))
        return mt_yaml_error(r->err, at, "", "found an anchor, alias or tag (&, *, !), expected plain values");
    if (r->n_open == MT_YAML_MAX_DEPTH)
        return mt_yaml_error(r->err, at, "", "found values nested deeper than %d levels, expected fewer",
                             MT_YAML_MAX_DEPTH);
    mt_yaml *node = create_yaml_node(kind, r->source, at->line);
    if (!node) return report_no_memory(r);
    node->key = r->key;
    r->key = NULL;
    if (kind == MT_YAML_SCALAR) {
        node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->text = copy_scalar_text(r, e, at);
        if (!node->text) return mt_yaml_free(node), 0;
    }
    /* A missing scalar and a block have their mark further down: the key's line is what a reader seeks. */
    if (node->key && (!node->text || !node->text[0])) node->line = r->key_line;
    if (!parent)
        r->root = node;
    else if (!append_yaml_child(parent, node))
        return report_no_memory(r);
    if (kind != MT_YAML_SCALAR) r->open[r->n_open++] = node;
    return 1;
}

static int read_yaml_events(reader *r) {
    for (;;) {
        yaml_event_t e;
        int ok = 1;
        if (!yaml_parser_parse(&r->parser, &e)) return report_parser_error(r);
        yaml_event_type_t type = e.type;
        if (type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT)
            r->n_open--;
        else if (type == YAML_ALIAS_EVENT || type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                 type == YAML_MAPPING_START_EVENT)
            ok = read_yaml_node(r, &e);
        yaml_event_delete(&e);
        if (!ok) return 0;
        if (type == YAML_STREAM_END_EVENT) break;
    }
    return r->root ? 1 : mt_yaml_error(r->err, AT_LINE(r->source, 0), "", "found nothing, expected keys and values");
}

static mt_yaml *read_yaml_tree(const char *text, size_t n_bytes, const char *source, int lines, lopt_error *err) {
    reader r = {.text = text, .source = source, .lines = lines, .err = err};
    if (n_bytes > MT_YAML_MAX_BYTES) {
        mt_yaml_error(err, AT_LINE(source, 0), "", "found more than %d bytes, expected at most that",
                      MT_YAML_MAX_BYTES);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        report_no_memory(&r);
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n_bytes);
    int ok = read_yaml_events(&r);
    yaml_parser_delete(&r.parser);
    free(r.key);
    if (ok) return r.root;
    mt_yaml_free(r.root);
    return NULL;
}

mt_yaml *mt_yaml_read(const char *text, size_t n_bytes, const char *source, lopt_error *err) {
    return read_yaml_tree(text, n_bytes, source, 1, err);
}

/* ---- overrides ------------------------------------------------------------------------------- */

static mt_yaml *read_override_value(const char *value, lopt_error *err) {
    if (value[0]) return read_yaml_tree(value, strlen(value), SET, 0, err);
    mt_yaml *node = create_yaml_node(MT_YAML_SCALAR, SET, 0);
    if (node) node->plain = 1;
    if (node && !(node->text = strdup(""))) {
        mt_yaml_free(node);
        node = NULL;
    }
    if (!node) mt_error(err, LOPT_ENOMEM, SET ": out of memory");
    return node;
}

/* The child of that name, made (as an empty mapping) where it may be. */
static mt_yaml **find_or_add_child(mt_yaml *node, const char *name, size_t length, const char *path, lopt_error *err) {
    char found[MT_YAML_FOUND];
    if (node->kind == MT_YAML_MAP && node->n == 0 && parse_list_index(name, length) >= 0) node->kind = MT_YAML_LIST;
    mt_yaml **old = find_yaml_child(node, name, length);
    if (old) return old;
    if (node->kind == MT_YAML_SCALAR) {
        mt_yaml_error(err, node, "", "found %s, expected a mapping or a list, because of " SET " %.80s",
                      mt_yaml_found(node, found), path);
        return NULL;
    }
    if (node->kind == MT_YAML_LIST && parse_list_index(name, length) != (long)node->n) {
        mt_yaml_error(err, IN_SET, "", "%.80s: found %.*s, expected an index from 0 to %zu (the last appends)", path,
                      (int)(length < 40 ? length : 40), name, node->n);
        return NULL;
    }
    mt_yaml *fresh = mt_yaml_empty(SET);
    if (fresh && node->kind == MT_YAML_MAP && !(fresh->key = strndup(name, length))) {
        mt_yaml_free(fresh);
        fresh = NULL;
    }
    if (append_yaml_child(node, fresh)) return &node->child[node->n - 1];
    mt_error(err, LOPT_ENOMEM, SET ": out of memory");
    return NULL;
}

static mt_yaml **make_yaml_path(mt_yaml *root, const char *path, lopt_error *err) {
    mt_yaml *node = root, **slot = NULL;
    int depth = 0;
    for (const char *name = path;; name++) {
        size_t length = strcspn(name, ".");
        if (length == 0 || ++depth >= MT_YAML_MAX_DEPTH) {
            mt_yaml_error(err, IN_SET, "", "found the key %.60s, expected names joined by dots (outer.steps)", path);
            return NULL;
        }
        slot = find_or_add_child(node, name, length, path, err);
        if (!slot || !name[length]) return slot;
        node = *slot;
        name += length;
    }
}

int mt_yaml_override(mt_yaml *root, const char *assignment, lopt_error *err) {
    const char *equals = strchr(assignment, '=');
    if (!equals) return mt_yaml_error(err, IN_SET, "", "found %.60s, expected KEY=VALUE", assignment);
    char *path = strndup(assignment, (size_t)(equals - assignment));
    if (!path) return mt_error(err, LOPT_ENOMEM, SET ": out of memory");
    mt_yaml *value = read_override_value(equals + 1, err);
    mt_yaml **slot = value ? make_yaml_path(root, path, err) : NULL;
    free(path);
    if (!slot) {
        mt_yaml_free(value);
        return 0;
    }
    value->key = (*slot)->key;
    (*slot)->key = NULL;
    mt_yaml_free(*slot);
    *slot = value;
    return 1;
}
