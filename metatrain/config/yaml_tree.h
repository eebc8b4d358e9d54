/* SPDX-License-Identifier: Apache-2.0
 *
 * yaml_tree.h - YAML text as a tree whose nodes know their line.
 *
 *     mt_yaml *root = mt_yaml_read(text, n_bytes, "run.yaml", &err);
 *     mt_yaml_override(root, "outer.steps=200", &err);            as after --set
 *     const mt_yaml *node = mt_yaml_find(root, "tasks.0.hidden");
 *     mt_yaml_error(&err, node, "tasks.0.hidden", "found %s", mt_yaml_found(node, text));
 *     mt_yaml_free(root);
 *
 * Mappings, lists and scalars of one document. Refused with a message: anchors, aliases and tags
 * (nothing here needs them, and they make cycles), duplicate keys, keys that are not plain names,
 * several documents, an empty document, text over MT_YAML_MAX_BYTES or nested deeper than
 * MT_YAML_MAX_DEPTH (libyaml takes quadratic time on deep nesting).
 *
 * Owner    the tree owns its texts; `source` is borrowed and must outlive it. */
#ifndef MT_YAML_READER_H
#define MT_YAML_READER_H

#include <stddef.h>

#include "lopt.h"

#define MT_YAML_MAX_BYTES 65536
#define MT_YAML_MAX_DEPTH 16

typedef enum mt_yaml_kind { MT_YAML_SCALAR, MT_YAML_LIST, MT_YAML_MAP } mt_yaml_kind;

typedef struct mt_yaml {
    mt_yaml_kind kind;
    char *key;  /* in a mapping, else NULL */
    char *text; /* scalars, else NULL */
    int plain;  /* scalars: written without quotes */
    const char *source;
    int line; /* 1, 2, ...; 0 where there are no lines (--set) */
    size_t n;
    struct mt_yaml **child;
} mt_yaml;

/* NULL and *err if the text cannot be read. */
mt_yaml *mt_yaml_read(const char *text, size_t n_bytes, const char *source, lopt_error *err);
/* A mapping without entries, for what has no file. NULL: out of memory. */
mt_yaml *mt_yaml_empty(const char *source);
void mt_yaml_free(mt_yaml *node);

/* Applies "a.b.0.c=VALUE": VALUE is YAML, numbers index lists (one past the end appends),
 * mappings on the way are made as needed. 0 and *err on failure. */
int mt_yaml_override(mt_yaml *root, const char *assignment, lopt_error *err);

/* The node at a dotted path, or NULL. */
mt_yaml *mt_yaml_find(const mt_yaml *root, const char *path);
/* The node at a path, or the nearest that encloses it: for the line of a message. */
const mt_yaml *mt_yaml_nearest(const mt_yaml *root, const char *path);

/* What stands there, for messages: a shortened scalar, "a list", "a mapping", "nothing". Returns
 * text. */
#define MT_YAML_FOUND 64
const char *mt_yaml_found(const mt_yaml *node, char text[MT_YAML_FOUND]);
/* *err = "SOURCE:LINE: PATH: ..." without control characters (path "": left out); returns 0. */
int mt_yaml_error(lopt_error *err, const mt_yaml *node, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
