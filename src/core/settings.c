/* SPDX-License-Identifier: Apache-2.0
 *
 * settings.c - see settings.h. */
#include "core/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/set_error.h"
#include "core/suggest.h"

const char *lopt__type_name(lopt__type type) {
    static const char *const names[] = {"integer", "number", "boolean", "choice"};
    return names[type];
}

int lopt__find_hyper(const lopt__kind *kind, const char *name) {
    for (int i = 0; i < kind->n_hypers; i++)
        if (strcmp(kind->hypers[i].name, name) == 0) return i;
    return -1;
}

/* Index of the word text[0..length) in "a|b|c", or -1. */
static int find_choice_index(const char *choices, const char *text, size_t length) {
    for (int i = 0;; i++) {
        size_t n = strcspn(choices, "|");
        if (n == length && strncmp(choices, text, n) == 0) return i;
        if (!choices[n]) return -1;
        choices += n + 1;
    }
}

/* One item of a setting; returns the first character after it, or NULL. */
static const char *parse_setting_item(const lopt__hyper *h, const char *text, double *value) {
    size_t length = strcspn(text, ",] \t");
    if (h->type == LOPT__BOOLEAN || h->type == LOPT__CHOICE) {
        int i = find_choice_index(h->type == LOPT__BOOLEAN ? "false|true" : h->choices, text, length);
        *value = i;
        return i < 0 ? NULL : text + length;
    }
    if (length == 0 || strspn(text, "+-.0123456789eE") < length) return NULL;
    char *end;
    *value = strtod(text, &end);
    if (end != text + length || !(*value >= h->min && *value <= h->max)) return NULL;
    if (h->type == LOPT__INTEGER && *value != floor(*value)) return NULL;
    return end;
}

static const char *skip_white_space(const char *text) {
    return text + strspn(text, " \t");
}

/* A whole setting: `count` items; a list stands in brackets, a single item may. */
static int parse_setting_value(const lopt__hyper *h, const char *text, double *value) {
    text = skip_white_space(text);
    int bracket = *text == '[';
    if (bracket)
        text = skip_white_space(text + 1);
    else if (h->count > 1)
        return 0;
    for (int i = 0; i < h->count; i++) {
        if (i > 0) {
            if (*text != ',') return 0;
            text = skip_white_space(text + 1);
        }
        text = parse_setting_item(h, text, &value[i]);
        if (!text) return 0;
        text = skip_white_space(text);
    }
    if (bracket) {
        if (*text != ']') return 0;
        text = skip_white_space(text + 1);
    }
    return *text == '\0';
}

/* What a value may be, for the error message. */
static void describe_allowed_values(const lopt__hyper *h, char *out, size_t bytes) {
    char list[32] = "";
    if (h->count > 1) snprintf(list, sizeof list, "a list of %d: each ", h->count);
    if (h->type == LOPT__BOOLEAN)
        snprintf(out, bytes, "%strue or false", list);
    else if (h->type == LOPT__CHOICE)
        snprintf(out, bytes, "%sone of %s", list, h->choices);
    else
        snprintf(out, bytes, "%s%s from %.15g to %.15g", list, h->type == LOPT__INTEGER ? "an integer" : "a number",
                 h->min, h->max);
}

static int report_unknown_setting(const lopt__kind *kind, const char *where, const char *name, lopt_error *err) {
    char text[96];
    lopt__suggestion s = lopt__suggestion_for(name);
    for (int i = 0; i < kind->n_hypers; i++) lopt__suggest_name(&s, kind->hypers[i].name);
    return lopt__set_error(err, LOPT_EUNKNOWN, "%s has no setting \"%.60s\"%s: `metatrain show %s` prints all", where,
                           name, lopt__suggestion_text(&s, text, sizeof text), where);
}

int lopt__parse_setting(const lopt__kind *kind, const char *where, const lopt_setting *setting,
                        double value[][LOPT__MAX_LIST], lopt_error *err) {
    int i = lopt__find_hyper(kind, setting->name);
    if (i < 0) return report_unknown_setting(kind, where, setting->name, err);
    double parsed[LOPT__MAX_LIST] = {0};
    if (!parse_setting_value(&kind->hypers[i], setting->value, parsed)) {
        char expected[200];
        describe_allowed_values(&kind->hypers[i], expected, sizeof expected);
        return lopt__set_error(err, LOPT_EARG, "%s: %s is \"%.80s\", expected %s", where, setting->name, setting->value,
                               expected);
    }
    memcpy(value[i], parsed, sizeof parsed);
    return 1;
}

/* Shortest text that reads back as the same double: 100 and 10000, not 1e+02 and 1e+04. */
static int print_shortest_number(double x, char *out, size_t bytes) {
    char text[32];
    int n = snprintf(out, bytes, "%.17g", x);
    for (int digits = 16; digits >= 1; digits--) {
        int length = snprintf(text, sizeof text, "%.*g", digits, x);
        if (length < n && strtod(text, NULL) == x) n = snprintf(out, bytes, "%s", text);
    }
    return n;
}

static int print_setting_item(const lopt__hyper *h, double x, char *out, size_t bytes) {
    if (h->type == LOPT__BOOLEAN) return snprintf(out, bytes, "%s", x != 0 ? "true" : "false");
    if (h->type == LOPT__CHOICE) {
        const char *word = h->choices;
        for (int i = 0; i < (int)x; i++) word += strcspn(word, "|") + 1;
        return snprintf(out, bytes, "%.*s", (int)strcspn(word, "|"), word);
    }
    return print_shortest_number(x, out, bytes);
}

int lopt_get(const lopt_optimizer *opt, const char *name, char *text, size_t text_bytes) {
    if (text_bytes == 0) return 0;
    text[0] = '\0';
    int i = lopt__find_hyper(opt->kind, name);
    if (i < 0) return 0;
    const lopt__hyper *h = &opt->kind->hypers[i];
    char all[LOPT__MAX_LIST * 32 + 4] = "";
    size_t used = 0;
    for (int k = 0; k < h->count; k++) {
        char item[32];
        print_setting_item(h, opt->value[i][k], item, sizeof item);
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", k ? ", " : h->count > 1 ? "[" : "", item);
    }
    if (h->count > 1) used += (size_t)snprintf(all + used, sizeof all - used, "]");
    if (used >= text_bytes) return 0;
    memcpy(text, all, used + 1);
    return 1;
}

double lopt_get_number(const lopt_optimizer *opt, const char *name, int i) {
    int h = lopt__find_hyper(opt->kind, name);
    if (h < 0 || i < 0 || i >= opt->kind->hypers[h].count) return NAN;
    return opt->value[h][i];
}
