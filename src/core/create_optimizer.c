/* SPDX-License-Identifier: Apache-2.0
 *
 * create_optimizer.c - creating an optimizer from a preset and settings. */
#include "core/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/set_error.h"
#include "core/settings.h"
#include "core/suggest.h"

#ifndef LOPT_VERSION
#define LOPT_VERSION "0.1.0"
#endif

const char *lopt_version(void) {
    return LOPT_VERSION;
}

static size_t round_up_bytes(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* Copies a finished description into its own memory: [optimizer][theta][prepared], theta zero. */
static lopt_optimizer *allocate_optimizer(const lopt_optimizer *described) {
    const lopt__kind *kind = described->kind;
    size_t head = round_up_bytes(sizeof *described);
    size_t theta = round_up_bytes(described->n_theta * sizeof(float));
    size_t prepared = kind->prepared_bytes ? round_up_bytes(kind->prepared_bytes(described)) : 0;
    char *memory = (char *)aligned_alloc(64, head + theta + prepared);
    if (!memory) return NULL;
    memset(memory, 0, head + theta + prepared);
    lopt_optimizer *opt = (lopt_optimizer *)memory;
    *opt = *described;
    opt->theta = (float *)(memory + head);
    opt->prepared = memory + head + theta;
    if (kind->prepare) kind->prepare(opt);
    return opt;
}

/* The kind's defaults, then the preset's settings, then the caller's. */
static int read_all_settings(lopt_optimizer *opt, const lopt_setting *settings, size_t n, lopt_error *err) {
    const lopt__kind *kind = opt->kind;
    char where[96];
    snprintf(where, sizeof where, "optimizer %s", opt->preset->info.name);
    for (int i = 0; i < kind->n_hypers; i++) {
        lopt_setting standard = {kind->hypers[i].name, kind->hypers[i].value};
        if (!lopt__parse_setting(kind, where, &standard, opt->value, err)) return 0;
    }
    for (const lopt_setting *s = opt->preset->settings; s->name; s++)
        if (!lopt__parse_setting(kind, where, s, opt->value, err)) return 0;
    for (size_t i = 0; i < n; i++)
        if (!lopt__parse_setting(kind, where, &settings[i], opt->value, err)) return 0;
    return 1;
}

static void report_unknown_preset(const char *name, lopt_error *err) {
    char text[96];
    const lopt_preset_info *info;
    lopt__suggestion s = lopt__suggestion_for(name);
    for (size_t i = 0; (info = lopt_preset(i)); i++) lopt__suggest_name(&s, info->name);
    lopt__set_error(err, LOPT_EUNKNOWN, "there is no optimizer \"%.60s\"%s: `metatrain list optimizers` prints all",
                    name, lopt__suggestion_text(&s, text, sizeof text));
}

/* LOPT_THREADS, clamped; 1 if it is absent or no number. */
static int threads_by_environment(void) {
    const char *text = getenv("LOPT_THREADS");
    long n = text ? strtol(text, NULL, 10) : 1;
    return n < 1 ? 1 : n > LOPT_MAX_THREADS ? LOPT_MAX_THREADS : (int)n;
}

lopt_optimizer *lopt_create(const char *preset, const lopt_setting *settings, size_t n_settings, lopt_error *err) {
    lopt_optimizer described = {0};
    described.preset = lopt__preset_find(preset, &described.kind);
    if (!described.preset) {
        report_unknown_preset(preset, err);
        return NULL;
    }
    if (!read_all_settings(&described, settings, n_settings, err)) return NULL;
    if (described.kind->layout) described.kind->layout(&described);
    described.n_threads = threads_by_environment();
    lopt_optimizer *opt = allocate_optimizer(&described);
    if (!opt) lopt__set_error(err, LOPT_ENOMEM, "not enough memory for optimizer %s", preset);
    return opt;
}

lopt_optimizer *lopt_clone(const lopt_optimizer *opt) {
    lopt_optimizer *copy = allocate_optimizer(opt);
    if (copy) lopt_set_theta(copy, opt->theta);
    return copy;
}

void lopt_destroy(lopt_optimizer *opt) {
    free(opt);
}

lopt_status lopt_set_threads(lopt_optimizer *opt, int n, lopt_error *err) {
    if (n < 1 || n > LOPT_MAX_THREADS) {
        lopt__set_error(err, LOPT_EARG, "found %d threads, expected 1 to %d", n, LOPT_MAX_THREADS);
        return LOPT_EARG;
    }
    opt->n_threads = n;
    return LOPT_OK;
}

int lopt_threads(const lopt_optimizer *opt) {
    return opt->n_threads;
}

const lopt_preset_info *lopt_info(const lopt_optimizer *opt) {
    return &opt->preset->info;
}
