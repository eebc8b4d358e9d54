/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.h - schemas: tables that declare every key of a file once, and what is done with them.
 *
 *     mt_schema_defaults(&mt_config_schema, cfg, &err)        defaults into the struct
 *     mt_schema_fill(&mt_config_schema, root, cfg, &err)      a YAML tree over them, checked
 *     mt_schema_text(&mt_config_schema, cfg)                  the struct as YAML
 *
 * A row says the key (path), its type and range, where its value goes in the struct (at, bytes), its default, unit and
 * help. Schemas nest: a row of type MT_KEY_ITEMS is a list of mappings, each described by another schema; a row of type
 * MT_KEY_TASK stands for the settings that the kinds of tasks declare. What holds between keys is a table of checks,
 * each with the rule that the reference prints. Once the keys are filled and checked, `finish` derives the rest. */
#ifndef MT_SCHEMA_H
#define MT_SCHEMA_H

#include <stddef.h>
#include <stdio.h>

#include "config/config.h"
#include "config/yaml_tree.h"

typedef enum mt_key_type {
    MT_KEY_INTEGER,  /* int or int64_t, by its size */
    MT_KEY_SEED,     /* uint64_t, all of it */
    MT_KEY_NUMBER,   /* double */
    MT_KEY_CHOICE,   /* an enum whose values are 0, 1, ... in the order of `range`, from the same list (TASK_WORDS) */
    MT_KEY_TEXT,     /* char[bytes] */
    MT_KEY_ITEMS,    /* list of mappings, each filled by `items` */
    MT_KEY_SETTINGS, /* path ends in "*": the hyperparameters of an mt_optimizer_config */
    MT_KEY_TASK      /* the settings of all tasks (task_setting_at), of the task_spec at `at` */
} mt_key_type;

#define MT_NOWHERE ((size_t)-1)

typedef struct mt_schema mt_schema;

typedef struct mt_key {
    const char *path; /* dotted, within the schema */
    mt_key_type type;
    size_t at, bytes;       /* offset in the struct; size of one value */
    int max_n;              /* 0: one value; else a list of at most this many */
    size_t n_at;            /* lists: offset of the count (int); MT_NOWHERE: exactly max_n.
                               settings: offset of the int "learning_rate is swept" */
    const char *range;      /* "[0, 1)", "a|b|c"; texts: "filled" when they may not be empty */
    const mt_schema *items; /* MT_KEY_ITEMS */
    const char *standard;   /* default as YAML; NULL: what `begin` of the schema puts there */
    const char *unit, *help;
} mt_key;

/* What a check across keys is given: a filled struct and the mapping it is from. */
typedef struct mt_key_item {
    const void *value;
    const mt_yaml *node;
    const char *path; /* with a dot at its end ("tasks.0."); "": the whole file */
    lopt_error *err;
} mt_key_item;

typedef struct mt_check {
    const char *rule;                      /* as docs/configuration.md prints it */
    int (*holds)(const mt_key_item *item); /* 0 and a message (mt_item_error) where it does not */
} mt_check;

struct mt_schema {
    const char *name; /* in the reference */
    size_t n, bytes;  /* keys; size of the struct */
    const mt_key *keys;
    size_t n_checks;
    const mt_check *checks;
    void (*begin)(void *into);  /* defaults that live elsewhere, or NULL */
    void (*finish)(void *into); /* what follows from the keys, once they are checked; or NULL */
};

extern const mt_schema mt_config_schema, mt_suite_schema, mt_task_schema;
void mt_set_data_path(mt_task_config *tasks, int n, const char *data_path);

#define MT_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Room for a path in messages; longer ones are cut (and match no key). */
#define MT_KEY_PATH 160
void mt_key_path(char path[MT_KEY_PATH], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The message names `key` of the item and its line; returns 0. */
int mt_item_error(const mt_key_item *item, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Every key in turn: for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);) ... w.key ... */
typedef struct mt_key_walk {
    const mt_schema *schema;
    size_t i, setting;
    mt_key key;
} mt_key_walk;
int mt_next_key(mt_key_walk *walk);
int mt_find_key(const mt_schema *schema, const char *path, mt_key *key); /* 0 if there is none */
int mt_schema_defaults(const mt_schema *schema, void *into, lopt_error *err);
/* Adds the defaults of lists that root leaves out, so that an override can reach into them. */
int mt_schema_seed_lists(const mt_schema *schema, mt_yaml *root, lopt_error *err);
int mt_schema_fill(const mt_schema *schema, const mt_yaml *root, void *into, lopt_error *err);
/* The struct as YAML; one value as YAML. The caller frees; NULL: out of memory. */
char *mt_schema_text(const mt_schema *schema, const void *from);
char *mt_key_text(const mt_key *key, const void *from);
/* The default as a reader should see it ("" for none), caller frees. */
char *mt_key_default(const mt_schema *schema, const mt_key *key);

/* Collects the children of map that `schema` does not declare as settings of opt, checked against
 * lopt_hyper of opt->name. swept: NULL, or set to 1 for `learning_rate: sweep`. */
int mt_settings_fill(const mt_schema *schema, const char *inside, const mt_yaml *map, const char *path,
                     mt_optimizer_config *opt, int *swept, lopt_error *err);

/* docs/configuration.md, as `metatrain list keys` prints it. */
void mt_config_print_reference(FILE *f);

#endif
