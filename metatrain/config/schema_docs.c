/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_docs.c - docs/configuration.md, written from the schemas and from what the
 * inference core declares of its hyperparameters. */
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

/* ---- keys ------------------------------------------------------------------------------------ */

/* "a|b|c" as "`a`, `b` or `c`": a bar would end the cell. */
static void print_choice_cell(const char *choices, FILE *f) {
    for (int first = 1; *choices; first = 0) {
        size_t n = strcspn(choices, "|");
        fprintf(f, "%s`%.*s`", first ? "" : choices[n] ? ", " : " or ", (int)n, choices);
        choices += n + (choices[n] == '|');
    }
}

static void print_key_type(const mt_key *key, FILE *f) {
    switch (key->type) {
    case MT_KEY_INTEGER:
        fprintf(f, "%s in %s", key->max_n ? "integers" : "integer", key->range);
        break;
    case MT_KEY_SEED:
        fputs("integer in [0, 18446744073709551615]", f);
        break;
    case MT_KEY_NUMBER:
        fprintf(f, "%s in %s", key->max_n ? "numbers" : "number", key->range);
        break;
    case MT_KEY_CHOICE:
        print_choice_cell(key->range, f);
        break;
    case MT_KEY_TEXT:
        fprintf(f, "%s, at most %zu bytes", key->max_n ? "strings" : "string", key->bytes - 1);
        break;
    case MT_KEY_ITEMS:
        fputs("mappings", f);
        break;
    default:
        fputs("see below", f);
    }
    if (key->max_n) fprintf(f, ", a list of %s%d", key->n_at == MT_NOWHERE ? "" : "at most ", key->max_n);
}

char *mt_key_default(const mt_schema *schema, const mt_key *key) {
    if (key->standard) return strdup(strcmp(key->standard, "\"\"") == 0 ? "" : key->standard);
    if (!schema->begin || key->type == MT_KEY_SETTINGS) return strdup("");
    void *item = malloc(schema->bytes);
    char *text = NULL;
    if (item && mt_schema_defaults(schema, item, NULL)) text = mt_key_text(key, item);
    free(item);
    return text;
}

static void print_schema_table(const mt_schema *schema, FILE *f) {
    fputs("| key | value | default | unit | meaning |\n|---|---|---|---|---|\n", f);
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);) {
        const mt_key *key = &w.key;
        char *standard = mt_key_default(schema, key);
        const char *quote = standard && standard[0] ? "`" : "";
        fprintf(f, "| `%s%s` | ", schema->name, key->path);
        print_key_type(key, f);
        fprintf(f, " | %s%s%s | %s | %s |\n", quote, standard ? standard : "", quote, key->unit ? key->unit : "",
                key->help);
        free(standard);
    }
    for (size_t i = 0; i < schema->n_checks; i++)
        fprintf(f, "%s- %s\n", i ? "" : "\nRules between keys:\n\n", schema->checks[i].rule);
}

static int has_items_before(const mt_schema *schema, size_t n, const mt_schema *items) {
    for (size_t i = 0; schema && i < n; i++)
        if (schema->keys[i].items == items) return 1;
    return 0;
}

/* Tables of what lists hold, each once; `printed`: a schema that was printed before, or NULL. */
static void print_item_tables(const mt_schema *schema, const mt_schema *printed, FILE *f) {
    for (size_t i = 0; i < schema->n; i++) {
        const mt_key *key = &schema->keys[i];
        if (!key->items || has_items_before(schema, i, key->items) ||
            has_items_before(printed, printed ? printed->n : 0, key->items))
            continue;
        fprintf(f, "\nEach of `%s`:\n\n", key->path);
        print_schema_table(key->items, f);
    }
}

/* ---- hyperparameters ------------------------------------------------------------------------- */

static void print_hyper_range(const lopt_hyper_info *h, FILE *f) {
    fprintf(f, "| `%s` | ", h->name);
    if (strcmp(h->type, "choice") == 0)
        print_choice_cell(h->choices, f);
    else if (strcmp(h->type, "boolean") == 0)
        fputs("`true` or `false`", f);
    else
        fprintf(f, "%s in [%.9g, %.9g]", h->type, h->min, h->max);
    if (h->count > 1) fprintf(f, ", a list of %d", h->count);
}

/* Presets of one kind share their hyperparameters: one table a kind, one column of defaults a
 * preset. */
static void print_kind_table(size_t first, FILE *f) {
    const lopt_preset_info *preset;
    const char *kind = lopt_preset(first)->kind;
    lopt_optimizer *opt[64];
    size_t n = 0;
    fprintf(f, "\n### %s\n\n| setting | value |", kind);
    for (size_t i = first; n < 64 && (preset = lopt_preset(i)); i++) {
        if (strcmp(preset->kind, kind) != 0 || !(opt[n] = lopt_create(preset->name, NULL, 0, NULL))) continue;
        fprintf(f, " `%s` |", preset->name);
        n++;
    }
    fputs(" meaning |\n|---|---|", f);
    for (size_t k = 0; k <= n; k++) fputs("---|", f);
    lopt_hyper_info hyper;
    for (size_t i = 0; lopt_hyper(lopt_preset(first)->name, i, &hyper); i++) {
        char value[256];
        fputc('\n', f);
        print_hyper_range(&hyper, f);
        for (size_t k = 0; k < n; k++)
            fprintf(f, " | `%s`", lopt_get(opt[k], hyper.name, value, sizeof value) ? value : "");
        fprintf(f, " | %s |", hyper.help);
    }
    fputc('\n', f);
    for (size_t k = 0; k < n; k++) lopt_destroy(opt[k]);
}

static int kind_seen_before(size_t i) {
    for (size_t k = 0; k < i; k++)
        if (strcmp(lopt_preset(k)->kind, lopt_preset(i)->kind) == 0) return 1;
    return 0;
}

static void print_optimizer_tables(FILE *f) {
    fputs("\n## Hyperparameters of optimizers\n\n"
          "Keys beside `name`, under `optimizer:` in a configuration and in each item of\n"
          "`optimizers:` in a suite. A preset is a kind of optimizer with published values;\n"
          "each of them may be overridden.\n",
          f);
    for (size_t i = 0; lopt_preset(i); i++)
        if (!kind_seen_before(i)) print_kind_table(i, f);
}

/* A kind ignores the settings of others. */
static void print_kind_settings(FILE *f) {
    fputs("\nSettings by kind of task; `augment` and `sample` are for all:\n\n", f);
    for (const task_kind *const *kind = task_kinds; *kind; kind++) {
        fprintf(f, "- `%s`:", (*kind)->name);
        for (size_t i = 0; i < (*kind)->n_settings; i++) fprintf(f, "%s `%s`", i ? "," : "", (*kind)->settings[i].key);
        fputc('\n', f);
    }
}

/* ---- the page -------------------------------------------------------------------------------- */

void mt_config_print_reference(FILE *f) {
    fputs("# Configuration reference\n\n"
          "Generated by `metatrain list keys > docs/configuration.md` from the tables in\n"
          "`metatrain/config/keys_*.c` and of the kinds in `tasks/`: edit those.\n\n"
          "A configuration is a YAML file of at most 64 kB: mappings, lists and values,\n"
          "without anchors, tags or a second document. Everything has a default, so a file\n"
          "holds only what differs. The order is: defaults, the file, `--set`.\n"
          "`--set outer.steps=200` overrides one key; numbers index lists:\n"
          "`--set tasks.0.batch_size=32`. Numbers are decimal, and `[0, 1)` is the range\n"
          "from 0 to 1 that contains 0 and not 1. A key that is not listed here, a value of\n"
          "another type or one out of range is an error that names file, line and key, and\n"
          "nothing is changed.\n\n"
          "The resolved configuration, with every key, is written to `DIR/config.yaml` and\n"
          "into every checkpoint.\n\n"
          "## Meta-training: `metatrain train CONFIG`\n\n",
          f);
    print_schema_table(&mt_config_schema, f);
    print_item_tables(&mt_config_schema, NULL, f);
    print_kind_settings(f);
    fputs("\n## Evaluation suites: `metatrain eval --suite SUITE`\n\n", f);
    print_schema_table(&mt_suite_schema, f);
    print_item_tables(&mt_suite_schema, &mt_config_schema, f); /* tasks are those of a configuration */
    print_optimizer_tables(f);
}
