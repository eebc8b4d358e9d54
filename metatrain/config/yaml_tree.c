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

static int vcomplain(lopt_error *err, const char *source, int line, const char *path, const char *format,
                     va_list args) {
    if (!err) return 0;
    size_t room = sizeof err->text;
    int n = line > 0 ? snprintf(err->text, room, "%.200s:%d: ", source, line)
                     : snprintf(err->text, room, "%.200s: ", source);
    if (path[0]) n += snprintf(err->text + n, room - (size_t)n, "%.100s: ", path);
    vsnprintf(err->text + n, room - (size_t)n, format, args);
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127) *c = '?';
    err->status = LOPT_EARG;
    return 0;
}

static int complain(lopt_error *err, const char *source, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int complain(lopt_error *err, const char *source, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vcomplain(err, source, line, "", format, args);
    va_end(args);
    return 0;
}

int mt_yaml_error(lopt_error *err, const mt_yaml *node, const char *path, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vcomplain(err, node->source, node->line, path, format, args);
    va_end(args);
    return 0;
}

const char *mt_yaml_found(const mt_yaml *node, char text[MT_YAML_FOUND]) {
    if (node->kind == MT_YAML_LIST) return "a list";
    if (node->kind == MT_YAML_MAP) return "a mapping";
    if (!node->text[0]) return node->plain ? "nothing" : "an empty text";
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

static mt_yaml *node_create(mt_yaml_kind kind, const char *source, int line) {
    mt_yaml *node = calloc(1, sizeof *node);
    if (node) *node = (mt_yaml){.kind = kind, .source = source, .line = line};
    return node;
}

mt_yaml *mt_yaml_empty(const char *source) {
    return node_create(MT_YAML_MAP, source, 0);
}

/* Takes the child over, also when it fails. */
static int append(mt_yaml *parent, mt_yaml *child) {
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

static mt_yaml **find_key(const mt_yaml *map, const char *key, size_t length) {
    for (size_t i = 0; i < map->n; i++)
        if (strlen(map->child[i]->key) == length && memcmp(map->child[i]->key, key, length) == 0) return &map->child[i];
    return NULL;
}

/* A decimal index of at most four digits, or -1. */
static long index_of(const char *name, size_t length) {
    long index = 0;
    if (length < 1 || length > 4) return -1;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)name[i])) return -1;
        index = 10 * index + (name[i] - '0');
    }
    return index;
}

static mt_yaml **find_child(const mt_yaml *node, const char *name, size_t length) {
    if (node->kind == MT_YAML_MAP) return find_key(node, name, length);
    long index = node->kind == MT_YAML_LIST ? index_of(name, length) : -1;
    return index >= 0 && (size_t)index < node->n ? &node->child[index] : NULL;
}

/* Follows path as far as it exists; *rest is what remains ("" when all of it does). */
static const mt_yaml *follow(const mt_yaml *node, const char *path, const char **rest) {
    while (*path) {
        size_t length = strcspn(path, ".");
        mt_yaml **child = find_child(node, path, length);
        if (!child) break;
        node = *child;
        path += length + (path[length] == '.');
    }
    *rest = path;
    return node;
}

mt_yaml *mt_yaml_find(const mt_yaml *root, const char *path) {
    const char *rest;
    const mt_yaml *node = follow(root, path, &rest);
    return *rest ? NULL : (mt_yaml *)node;
}

const mt_yaml *mt_yaml_nearest(const mt_yaml *root, const char *path) {
    const char *rest;
    return follow(root, path, &rest);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct reader {
    yaml_parser_t parser;
    const char *text, *source;
    int lines; /* nodes get line numbers */
    lopt_error *err;
} reader;

static int line_of(const reader *r, yaml_mark_t mark) {
    return r->lines ? (int)mark.line + 1 : 0;
}

static int out_of_memory(const reader *r) {
    return mt_error(r->err, LOPT_ENOMEM, "%.200s: out of memory", r->source);
}

static int parser_error(const reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return out_of_memory(r);
    int line = line_of(r, p->problem_mark);
    if (p->error == YAML_READER_ERROR && r->lines) { /* has an offset, but no mark */
        line = 1;
        for (size_t i = 0; i < p->problem_offset && r->text[i]; i++) line += r->text[i] == '\n';
    }
    return complain(r->err, r->source, line, "found text that is not YAML (%s), expected keys and values",
                    p->problem ? p->problem : "unknown error");
}

static int next_event(reader *r, yaml_event_t *event) {
    return yaml_parser_parse(&r->parser, event) ? 1 : parser_error(r);
}

/* Anchors and tags are refused where they stand, so that nothing can refer back. */
static int has_property(const yaml_event_t *e) {
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return 1;
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor || e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor || e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor || e->data.mapping_start.tag;
    default:
        return 0;
    }
}

static char *scalar_text(reader *r, const yaml_event_t *e) {
    const char *value = (const char *)e->data.scalar.value;
    if (strlen(value) != e->data.scalar.length) {
        complain(r->err, r->source, line_of(r, e->start_mark), "found a zero byte, expected text");
        return NULL;
    }
    char *copy = strdup(value);
    if (!copy) out_of_memory(r);
    return copy;
}

static mt_yaml *read_node(reader *r, const yaml_event_t *event, int depth);

static int read_list(reader *r, mt_yaml *list, int depth) {
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event)) return 0;
        int end = event.type == YAML_SEQUENCE_END_EVENT;
        mt_yaml *child = end ? NULL : read_node(r, &event, depth + 1);
        yaml_event_delete(&event);
        if (end) return 1;
        if (!child) return 0;
        if (!append(list, child)) return out_of_memory(r);
    }
}

/* The key of the next entry: NULL with *end set after the last, NULL without it on failure. */
static char *read_key(reader *r, const mt_yaml *map, int *line, int *end) {
    yaml_event_t event;
    char *key = NULL;
    *end = 0;
    if (!next_event(r, &event)) return NULL;
    *line = line_of(r, event.start_mark);
    *end = event.type == YAML_MAPPING_END_EVENT;
    if (event.type == YAML_SCALAR_EVENT && !has_property(&event)) {
        key = scalar_text(r, &event);
    } else if (!*end) {
        complain(r->err, r->source, *line, "found a key that is not a plain name, expected a name");
    }
    if (key && find_key(map, key, strlen(key))) {
        complain(r->err, r->source, *line, "%.60s: found the key a second time, expected it once", key);
        free(key);
        key = NULL;
    }
    yaml_event_delete(&event);
    return key;
}

static int read_map(reader *r, mt_yaml *map, int depth) {
    for (;;) {
        int end, line;
        char *key = read_key(r, map, &line, &end);
        if (!key) return end;
        yaml_event_t event;
        mt_yaml *child = NULL;
        if (next_event(r, &event)) {
            child = read_node(r, &event, depth + 1);
            yaml_event_delete(&event);
        }
        if (!child) {
            free(key);
            return 0;
        }
        child->key = key;
        /* A missing scalar and a block have their mark further down: the key's line is what a
         * reader seeks. */
        if (child->kind != MT_YAML_SCALAR || !child->text[0]) child->line = line;
        if (!append(map, child)) return out_of_memory(r);
    }
}

static mt_yaml *read_node(reader *r, const yaml_event_t *event, int depth) {
    int line = line_of(r, event->start_mark), ok = 0;
    mt_yaml_kind kind = event->type == YAML_SEQUENCE_START_EVENT  ? MT_YAML_LIST
                        : event->type == YAML_MAPPING_START_EVENT ? MT_YAML_MAP
                                                                  : MT_YAML_SCALAR;
    if (has_property(event)) {
        complain(r->err, r->source, line, "found an anchor, alias or tag (&, *, !), expected plain values");
        return NULL;
    }
    if (depth > MT_YAML_MAX_DEPTH) {
        complain(r->err, r->source, line, "found values nested deeper than %d levels, expected fewer",
                 MT_YAML_MAX_DEPTH);
        return NULL;
    }
    mt_yaml *node = node_create(kind, r->source, line);
    if (!node)
        out_of_memory(r);
    else if (kind == MT_YAML_LIST)
        ok = read_list(r, node, depth);
    else if (kind == MT_YAML_MAP)
        ok = read_map(r, node, depth);
    else
        ok = (node->text = scalar_text(r, event)) != NULL;
    if (node && kind == MT_YAML_SCALAR) node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (ok) return node;
    mt_yaml_free(node);
    return NULL;
}

/* Skips stream and document starts; 0 and no event at the end of the stream or on failure. */
static int next_content(reader *r, yaml_event_t *event, int *ended) {
    for (;;) {
        *ended = 0;
        if (!next_event(r, event)) return 0;
        *ended = event->type == YAML_STREAM_END_EVENT;
        int skip = event->type == YAML_STREAM_START_EVENT || event->type == YAML_DOCUMENT_START_EVENT ||
                   event->type == YAML_DOCUMENT_END_EVENT;
        if (!skip && !*ended) return 1;
        yaml_event_delete(event);
        if (*ended) return 0;
    }
}

static mt_yaml *read_document(reader *r) {
    yaml_event_t event;
    int ended;
    if (!next_content(r, &event, &ended)) {
        if (ended) complain(r->err, r->source, 0, "found nothing, expected keys and values");
        return NULL;
    }
    mt_yaml *root = read_node(r, &event, 1);
    yaml_event_delete(&event);
    if (!root) return NULL;
    if (!next_content(r, &event, &ended)) {
        if (ended) return root;
    } else {
        complain(r->err, r->source, line_of(r, event.start_mark), "found a second YAML document, expected one");
        yaml_event_delete(&event);
    }
    mt_yaml_free(root);
    return NULL;
}

static mt_yaml *read_text(const char *text, size_t n_bytes, const char *source, int lines, lopt_error *err) {
    reader r = {.text = text, .source = source, .lines = lines, .err = err};
    if (n_bytes > MT_YAML_MAX_BYTES) {
        complain(err, source, 0, "found more than %d bytes, expected at most that", MT_YAML_MAX_BYTES);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        out_of_memory(&r);
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n_bytes);
    mt_yaml *root = read_document(&r);
    yaml_parser_delete(&r.parser);
    return root;
}

mt_yaml *mt_yaml_read(const char *text, size_t n_bytes, const char *source, lopt_error *err) {
    return read_text(text, n_bytes, source, 1, err);
}

/* ---- overrides ------------------------------------------------------------------------------- */

static mt_yaml *read_value(const char *value, lopt_error *err) {
    if (value[0]) return read_text(value, strlen(value), SET, 0, err);
    mt_yaml *node = node_create(MT_YAML_SCALAR, SET, 0);
    if (node) node->plain = 1;
    if (node && !(node->text = strdup(""))) {
        mt_yaml_free(node);
        node = NULL;
    }
    if (!node) mt_error(err, LOPT_ENOMEM, SET ": out of memory");
    return node;
}

/* The child of that name, made (as an empty mapping) where it may be. */
static mt_yaml **child_or_new(mt_yaml *node, const char *name, size_t length, const char *path, lopt_error *err) {
    char found[MT_YAML_FOUND];
    if (node->kind == MT_YAML_MAP && node->n == 0 && index_of(name, length) >= 0) node->kind = MT_YAML_LIST;
    mt_yaml **old = find_child(node, name, length);
    if (old) return old;
    if (node->kind == MT_YAML_SCALAR) {
        mt_yaml_error(err, node, "", "found %s, expected a mapping or a list, because of " SET " %.80s",
                      mt_yaml_found(node, found), path);
        return NULL;
    }
    if (node->kind == MT_YAML_LIST && index_of(name, length) != (long)node->n) {
        complain(err, SET, 0, "%.80s: found %.*s, expected an index from 0 to %zu (the last appends)", path,
                 (int)(length < 40 ? length : 40), name, node->n);
        return NULL;
    }
    mt_yaml *fresh = mt_yaml_empty(SET);
    if (fresh && node->kind == MT_YAML_MAP && !(fresh->key = strndup(name, length))) {
        mt_yaml_free(fresh);
        fresh = NULL;
    }
    if (append(node, fresh)) return &node->child[node->n - 1];
    mt_error(err, LOPT_ENOMEM, SET ": out of memory");
    return NULL;
}

static mt_yaml **make_path(mt_yaml *root, const char *path, lopt_error *err) {
    mt_yaml *node = root, **slot = NULL;
    int depth = 0;
    for (const char *name = path;; name++) {
        size_t length = strcspn(name, ".");
        if (length == 0 || ++depth >= MT_YAML_MAX_DEPTH) {
            complain(err, SET, 0, "found the key %.60s, expected names joined by dots (outer.steps)", path);
            return NULL;
        }
        slot = child_or_new(node, name, length, path, err);
        if (!slot || !name[length]) return slot;
        node = *slot;
        name += length;
    }
}

int mt_yaml_override(mt_yaml *root, const char *assignment, lopt_error *err) {
    const char *equals = strchr(assignment, '=');
    if (!equals) return complain(err, SET, 0, "found %.60s, expected KEY=VALUE", assignment);
    char *path = strndup(assignment, (size_t)(equals - assignment));
    if (!path) return mt_error(err, LOPT_ENOMEM, SET ": out of memory");
    mt_yaml *value = read_value(equals + 1, err);
    mt_yaml **slot = value ? make_path(root, path, err) : NULL;
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
