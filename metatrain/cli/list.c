/* SPDX-License-Identifier: Apache-2.0
 *
 * list.c - `metatrain list`: what a configuration may name. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "config/schema.h"
#include "core/suggest.h"
#include "es/es_gradient.h"
#include "task.h"

/* ---- what there is --------------------------------------------------------------------------- */

typedef struct entry {
    const char *name, *summary, *source; /* source: NULL if it has none */
} entry;

static int optimizer_entry(size_t i, entry *e) {
    const lopt_preset_info *preset = lopt_preset(i);
    if (!preset) return 0;
    *e = (entry){preset->name, preset->summary, preset->source};
    return 1;
}

/* Families come after the tasks: a configuration may name them alike. */
static int task_entry(size_t i, entry *e) {
    size_t n_tasks = 0;
    while (task_name_at(n_tasks)) n_tasks++;
    const task_info *info = i < n_tasks ? task_name_at(i) : NULL;
    const task_family *family = i < n_tasks ? NULL : task_family_at(i - n_tasks);
    if (!info && !family) return 0;
    *e = info ? (entry){info->name, info->summary, NULL} : (entry){family->name, family->summary, NULL};
    return 1;
}

static int estimator_entry(size_t i, entry *e) {
    const mt_rule *rule = mt_estimator_rule((mt_estimator)i);
    if (!rule) return 0;
    *e = (entry){rule->name, rule->summary, rule->source};
    return 1;
}

typedef struct listing {
    const char *name;
    int (*entry)(size_t i, entry *e); /* NULL: the reference of keys */
} listing;

static const listing listings[] = {
    {"optimizers", optimizer_entry},
    {"tasks", task_entry},
    {"estimators", estimator_entry},
    {"keys", NULL},
};
enum { N_LISTINGS = sizeof listings / sizeof listings[0] };

/* ---- text ------------------------------------------------------------------------------------ */

static void print_entries(const listing *l) {
    entry e;
    int width = 0;
    for (size_t i = 0; l->entry(i, &e); i++)
        if ((int)strlen(e.name) > width) width = (int)strlen(e.name);
    for (size_t i = 0; l->entry(i, &e); i++) {
        printf("%-*s  %s", width, e.name, e.summary);
        if (e.source && e.source[0]) printf("  [%s]", e.source);
        putchar('\n');
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *entries_json(const listing *l) {
    json_t *array = json_array();
    entry e;
    for (size_t i = 0; l->entry(i, &e); i++) {
        json_t *object = json_pack("{s:s, s:s, s:s*}", "name", e.name, "summary", e.summary, "source", e.source);
        if (l->entry == optimizer_entry && object) {
            json_object_set_new(object, "kind", json_string(lopt_preset(i)->kind));
            json_object_set_new(object, "learned", json_boolean(lopt_preset(i)->learned));
        }
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *keys_json(const mt_schema *schema) {
    static const char *const types[] = {"integer", "integer", "number", "choice", "text", "mappings", "settings"};
    json_t *array = json_array();
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);) {
        const mt_key *key = &w.key;
        char *standard = mt_key_default(schema, key);
        const char *range = key->type < MT_KEY_TEXT ? key->range : NULL;
        json_t *object =
            json_pack("{s:s, s:s, s:b, s:s*, s:s*, s:s*, s:s}", "key", key->path, "type", types[key->type], "list",
                      key->max_n > 0, "range", range, "default", standard, "unit", key->unit, "help", key->help);
        free(standard);
        if (key->items && object) json_object_set_new(object, "items", keys_json(key->items));
        json_array_append_new(array, object);
    }
    return array;
}

static int print_list_json(const listing *l) {
    json_t *json =
        l->entry ? entries_json(l)
                 : json_pack("{s:o, s:o}", "train", keys_json(&mt_config_schema), "eval", keys_json(&mt_suite_schema));
    lopt_error err;
    int failed = !json || json_dumpf(json, stdout, JSON_INDENT(2)) != 0;
    if (!failed) putchar('\n');
    json_decref(json);
    if (!failed || ferror(stdout)) return MT_DONE; /* main reports what cannot be written */
    mt_error(&err, LOPT_ENOMEM, "out of memory");
    return mt_print_error(&err);
}

/* ---- the command ----------------------------------------------------------------------------- */

typedef struct list_options {
    const char *what;
    int json;
} list_options;

static const char doc[] = "List what a configuration may name: WHAT is optimizers, tasks, estimators or keys.\v"
                          "One name a line, then what it is and where it comes from. `keys` prints the reference of "
                          "every key of a configuration and an evaluation suite as Markdown.\n\n"
                          "Examples:\n"
                          "  metatrain list optimizers\n"
                          "  metatrain list tasks | cut -d' ' -f1\n"
                          "  metatrain list keys --json\n";

static const struct argp_option options[] = {{"json", 'j', 0, 0, "print JSON", 0}, {0}};

static int unknown_listing(const char *name) {
    char text[64];
    lopt_error err;
    lopt__suggestion s = lopt__suggestion_for(name);
    for (int i = 0; i < N_LISTINGS; i++) lopt__suggest_name(&s, listings[i].name);
    mt_error(&err, LOPT_EUNKNOWN, "list: found \"%.100s\", expected one of optimizers, tasks, estimators, keys%s", name,
             lopt__suggestion_text(&s, text, sizeof text));
    return mt_print_error(&err);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    list_options *o = state->input;
    switch (key) {
    case 'j':
        o->json = 1;
        return 0;
    case ARGP_KEY_ARG:
        return mt_take_only(state, "WHAT", arg, &o->what);
    case ARGP_KEY_END:
        if (!o->what) return argp_error(state, "WHAT is missing: optimizers, tasks, estimators or keys"), EINVAL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int mt_command_list(int argc, char **argv) {
    static const struct argp parser = {options, parse, "WHAT", doc, 0, 0, 0};
    list_options o = {0};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    const listing *what = NULL;
    for (int i = 0; i < N_LISTINGS; i++)
        if (strcmp(listings[i].name, o.what) == 0) what = &listings[i];
    if (!what) return unknown_listing(o.what);
    if (o.json) return print_list_json(what);
    if (what->entry)
        print_entries(what);
    else
        mt_config_print_reference(stdout);
    return MT_DONE;
}
