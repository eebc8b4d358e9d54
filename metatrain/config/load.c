/* SPDX-License-Identifier: Apache-2.0
 *
 * load.c - a file, its overrides and the defaults become a configuration or a suite. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/read_file.h"
#include "config/schema.h"

/* Numbers have a decimal point here whatever the environment says. */
static locale_t enter_c_locale(void) {
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

static void leave_c_locale(locale_t before) {
    freelocale(uselocale(before));
}

static int apply_overrides(const mt_schema *schema, mt_yaml *root, const char *const *sets, int n_sets,
                           lopt_error *err) {
    if (root->kind == MT_YAML_MAP && n_sets > 0 && !mt_schema_seed_lists(schema, root, err)) return 0;
    for (int i = 0; i < n_sets; i++)
        if (!mt_yaml_override(root, sets[i], err)) return 0;
    return 1;
}

/* text NULL: defaults and sets alone. Returns a struct of the schema, or NULL and *err. */
static void *parse_schema_text(const mt_schema *schema, const char *text, const char *name, const char *const *sets,
                               int n_sets, lopt_error *err) {
    locale_t before = enter_c_locale();
    mt_yaml *root = text ? mt_yaml_read(text, strlen(text), name, err) : mt_yaml_empty("defaults");
    void *out = root ? malloc(schema->bytes) : NULL;
    if (!out && (root || !text)) mt_error(err, LOPT_ENOMEM, "%.200s: out of memory", text ? name : "defaults");
    if (out && (!apply_overrides(schema, root, sets, n_sets, err) || !mt_schema_fill(schema, root, out, err))) {
        free(out);
        out = NULL;
    }
    mt_yaml_free(root);
    leave_c_locale(before);
    return out;
}

static void *load_schema_file(const mt_schema *schema, const char *path, const char *const *sets, int n_sets,
                              lopt_error *err) {
    if (!path) return parse_schema_text(schema, NULL, "", sets, n_sets, err);
    size_t n;
    char *text = mt_text_read(path, MT_YAML_MAX_BYTES, &n, err);
    if (!text && err && err->status == LOPT_EIO) err->status = LOPT_EARG; /* a folder: the user's mistake */
    if (!text) return NULL;
    void *out = NULL;
    if (strlen(text) == n)
        out = parse_schema_text(schema, text, path, sets, n_sets, err);
    else
        mt_error(err, LOPT_EARG, "%.200s: found a zero byte, expected YAML text", path);
    free(text);
    return out;
}

static char *print_schema_text(const mt_schema *schema, const void *from) {
    locale_t before = enter_c_locale();
    char *text = mt_schema_text(schema, from);
    leave_c_locale(before);
    return text;
}

mt_config *mt_config_load(const char *path, const char *const *sets, int n_sets, lopt_error *err) {
    mt_config *cfg = load_schema_file(&mt_config_schema, path, sets, n_sets, err);
    if (cfg && path) snprintf(cfg->file, sizeof cfg->file, "%s", path);
    return cfg;
}

mt_config *mt_config_parse(const char *text, const char *name, const char *const *sets, int n_sets, lopt_error *err) {
    mt_config *cfg = parse_schema_text(&mt_config_schema, text, name, sets, n_sets, err);
    if (cfg) snprintf(cfg->file, sizeof cfg->file, "%s", name);
    return cfg;
}

char *mt_config_text(const mt_config *cfg) {
    return print_schema_text(&mt_config_schema, cfg);
}

void mt_config_free(mt_config *cfg) {
    free(cfg);
}

mt_suite *mt_suite_load(const char *path, const char *const *sets, int n_sets, lopt_error *err) {
    mt_suite *suite = load_schema_file(&mt_suite_schema, path, sets, n_sets, err);
    if (suite && path) snprintf(suite->file, sizeof suite->file, "%s", path);
    return suite;
}

char *mt_suite_text(const mt_suite *suite) {
    return print_schema_text(&mt_suite_schema, suite);
}

void mt_suite_free(mt_suite *suite) {
    free(suite);
}
