/* SPDX-License-Identifier: Apache-2.0
 *
 * keys_optimizer.c - hyperparameters of optimizers, checked against what the inference core
 * declares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/scalar.h"
#include "config/schema.h"
#include "core/suggest.h"

static int is_optimizer_preset(const char *name) {
    const lopt_preset_info *preset;
    for (size_t i = 0; (preset = lopt_preset(i)); i++)
        if (strcmp(preset->name, name) == 0) return 1;
    return 0;
}

static int report_unknown_preset(const mt_yaml *map, const char *path, const char *name, lopt_error *err) {
    char where[MT_KEY_PATH], text[MT_KEY_PATH];
    const lopt_preset_info *preset;
    lopt__suggestion s = lopt__suggestion_for(name);
    for (size_t i = 0; (preset = lopt_preset(i)); i++) lopt__suggest_name(&s, preset->name);
    mt_key_path(where, "%sname", path);
    return mt_yaml_error(err, mt_yaml_nearest(map, "name"), where,
                         "found %s, expected a name of `metatrain list optimizers`%s", name,
                         lopt__suggestion_text(&s, text, sizeof text));
}

static int find_hyperparameter(const char *preset, const char *name, lopt_hyper_info *hyper) {
    for (size_t i = 0; lopt_hyper(preset, i, hyper); i++)
        if (strcmp(hyper->name, name) == 0) return 1;
    return 0;
}

static int report_unknown_hyper(const mt_schema *schema, const char *inside, const mt_yaml *node, const char *path,
                                const char *preset, lopt_error *err) {
    char text[MT_KEY_PATH], names[200] = "";
    lopt_hyper_info hyper;
    lopt__suggestion s = lopt__suggestion_for(node->key);
    for (mt_key_walk w = {.schema = schema}; mt_next_key(&w);)
        if (strncmp(w.key.path, inside, strlen(inside)) == 0) lopt__suggest_name(&s, w.key.path + strlen(inside));
    for (size_t i = 0; lopt_hyper(preset, i, &hyper); i++) {
        lopt__suggest_name(&s, hyper.name);
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", hyper.name);
    }
    return mt_yaml_error(err, node, "", "found the unknown key %s%.60s, expected a setting of %s (%s%s)%s", path,
                         node->key, preset, names, strlen(names) + 1 == sizeof names ? "..." : "",
                         lopt__suggestion_text(&s, text, sizeof text));
}

/* One element; what it means is checked here so that the message has its line, the text goes on
 * as it is. */
static int check_hyper_value(const lopt_hyper_info *hyper, const mt_yaml *node, const char *path, lopt_error *err) {
    char range[64];
    long long integer;
    double number;
    int choice;
    snprintf(range, sizeof range, "[%.9g, %.9g]", hyper->min, hyper->max);
    if (strcmp(hyper->type, "integer") == 0) return mt_read_integer(node, path, range, &integer, err);
    if (strcmp(hyper->type, "number") == 0) return mt_read_number(node, path, range, &number, err);
    const char *choices = strcmp(hyper->type, "boolean") == 0 ? "true|false" : hyper->choices;
    return mt_read_choice(node, path, choices, &choice, err);
}

static int report_too_long(const mt_yaml *node, const char *path, size_t max, lopt_error *err) {
    return mt_yaml_error(err, node, path, "found more than %zu bytes, expected at most that", max);
}

static int read_hyper_list(const lopt_hyper_info *hyper, const mt_yaml *node, const char *path, char *text,
                           size_t text_bytes, lopt_error *err) {
    char where[MT_KEY_PATH], found[MT_YAML_FOUND];
    if (node->kind != MT_YAML_LIST || node->n != (size_t)hyper->count)
        return mt_yaml_error(err, node, path, "found %s, expected a list of %d values",
                             node->kind == MT_YAML_LIST ? "a list of another length" : mt_yaml_found(node, found),
                             hyper->count);
    size_t n = 0;
    for (size_t i = 0; i < node->n; i++) {
        mt_key_path(where, "%s.%zu", path, i);
        if (!check_hyper_value(hyper, node->child[i], where, err)) return 0;
        n += (size_t)snprintf(text + n, text_bytes - n, "%s%s", i ? ", " : "[", node->child[i]->text);
        if (n + 2 > text_bytes) return report_too_long(node, path, text_bytes - 1, err);
    }
    memcpy(text + n, "]", 2);
    return 1;
}

static int add_optimizer_setting(mt_optimizer_config *opt, const lopt_hyper_info *hyper, const mt_yaml *node,
                                 const char *path, lopt_error *err) {
    if (opt->n_settings == MT_MAX_SETTINGS)
        return mt_yaml_error(err, node, path, "found more than %d settings, expected fewer", MT_MAX_SETTINGS);
    char *name = opt->settings[opt->n_settings].name, *value = opt->settings[opt->n_settings].value;
    size_t value_bytes = sizeof opt->settings[0].value;
    if (strlen(hyper->name) >= sizeof opt->settings[0].name)
        return report_too_long(node, path, sizeof opt->settings[0].name - 1, err);
    if (hyper->count > 1) {
        if (!read_hyper_list(hyper, node, path, value, value_bytes, err)) return 0;
    } else {
        if (!check_hyper_value(hyper, node, path, err)) return 0;
        if (strlen(node->text) >= value_bytes) return report_too_long(node, path, value_bytes - 1, err);
        memcpy(value, node->text, strlen(node->text) + 1);
    }
    memcpy(name, hyper->name, strlen(hyper->name) + 1);
    opt->settings[opt->n_settings++].line = node->line;
    return 1;
}

static int is_learning_rate_sweep(const mt_yaml *node) {
    return strcmp(node->key, "learning_rate") == 0 && node->kind == MT_YAML_SCALAR && strcmp(node->text, "sweep") == 0;
}

int mt_settings_fill(const mt_schema *schema, const char *inside, const mt_yaml *map, const char *path,
                     mt_optimizer_config *opt, int *swept, lopt_error *err) {
    char within[MT_KEY_PATH], where[MT_KEY_PATH];
    lopt_hyper_info hyper;
    mt_key key;
    if (opt->name[0] && !is_optimizer_preset(opt->name)) return report_unknown_preset(map, path, opt->name, err);
    for (size_t i = 0; i < map->n; i++) {
        const mt_yaml *node = map->child[i];
        mt_key_path(within, "%s%s", inside, node->key);
        if (mt_find_key(schema, within, &key)) continue;
        mt_key_path(where, "%s%s", path, node->key);
        if (!opt->name[0])
            return mt_yaml_error(err, node, where, "found a setting, expected the optimizer's name beside it");
        if (!find_hyperparameter(opt->name, node->key, &hyper))
            return report_unknown_hyper(schema, inside, node, path, opt->name, err);
        if (swept && is_learning_rate_sweep(node))
            *swept = 1;
        else if (!add_optimizer_setting(opt, &hyper, node, where, err))
            return 0;
    }
    return 1;
}

/* ---- making one ------------------------------------------------------------------------------ */

/* Line of the setting a message of the core is about, or 0. One name may lie in another: the
 * longest counts. */
static int line_of_setting(const mt_optimizer_config *cfg, const char *message) {
    size_t longest = 0;
    int line = 0;
    for (int i = 0; i < cfg->n_settings; i++) {
        size_t n = strlen(cfg->settings[i].name);
        if (n <= longest || !strstr(message, cfg->settings[i].name)) continue;
        longest = n;
        line = cfg->settings[i].line;
    }
    return line;
}

lopt_optimizer *mt_optimizer_create(const mt_optimizer_config *cfg, const char *file, lopt_error *err) {
    lopt_setting settings[MT_MAX_SETTINGS];
    lopt_error why;
    for (int i = 0; i < cfg->n_settings; i++)
        settings[i] = (lopt_setting){cfg->settings[i].name, cfg->settings[i].value};
    lopt_optimizer *opt = lopt_create(cfg->name, settings, (size_t)cfg->n_settings, &why);
    if (opt) return opt;
    int line = line_of_setting(cfg, why.text);
    if (!file[0])
        mt_error(err, why.status, "%.400s", why.text);
    else if (line)
        mt_error(err, why.status, "%.150s:%d: optimizer: %.300s", file, line, why.text);
    else
        mt_error(err, why.status, "%.150s: optimizer: %.300s", file, why.text);
    return NULL;
}
