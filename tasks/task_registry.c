/* SPDX-License-Identifier: Apache-2.0
 *
 * task_registry.c - every kind of task, and the published names that stand for a kind with fixed sizes.
 *
 * A new kind is one file in models/ and its name here; its published names and its parametric family are fields
 * of it. A published name becomes its kind in task_spec_resolve, so what a caller sets after that overrides the
 * published sizes. */
#include "task.h"

#include <stdio.h>
#include <string.h>

#include "augment/augment.h"
#include "base/task_error.h"
#include "core/suggest.h"

/* In the order of `metatrain list tasks`. */
// clang-format off
#define KINDS(X)                                                                                                       \
    X(image_mlp)                                                                                                       \
    X(image_conv)                                                                                                      \
    X(image_resnet)                                                                                                    \
    X(mlp_autoencoder)                                                                                                 \
    X(mlp_vae)                                                                                                         \
    X(rnn_lm)                                                                                                          \
    X(transformer_lm)                                                                                                  \
    X(vit)                                                                                                             \
    X(mlp_mixer)                                                                                                       \
    X(quadratic)                                                                                                       \
    X(quadratic_family)                                                                                                \
    X(noisy_quadratic)                                                                                                 \
    X(log_quadratic)                                                                                                   \
    X(sum_quadratic)                                                                                                   \
    X(noisy_mean_quadratic)
// clang-format on

#define DECLARE(kind) extern const task_kind task_kind_##kind;
KINDS(DECLARE)

#define ADDRESS(kind) &task_kind_##kind,
const task_kind *const task_kinds[] = {KINDS(ADDRESS) NULL};

enum { N_KINDS = sizeof task_kinds / sizeof *task_kinds - 1 };

/* A kind begins with the two fields of a task_info, so a kind can serve as one. */
_Static_assert(offsetof(task_kind, name) == offsetof(task_info, name) &&
                   offsetof(task_kind, summary) == offsetof(task_info, summary),
               "task_kind starts like task_info");

const task_info *task_name_at(size_t i) {
    if (i < N_KINDS) return (const task_info *)(const void *)task_kinds[i];
    i -= N_KINDS;
    for (int k = 0; k < N_KINDS; k++)
        for (const task_name *n = task_kinds[k]->names; n && n->info.name; n++)
            if (i-- == 0) return &n->info;
    return NULL;
}

const task_family *task_family_at(size_t i) {
    for (int k = 0; k < N_KINDS; k++)
        if (task_kinds[k]->family && i-- == 0) return task_kinds[k]->family;
    return NULL;
}

static const task_name *find_published_name(const char *name) {
    for (int k = 0; k < N_KINDS; k++)
        for (const task_name *n = task_kinds[k]->names; n && n->info.name; n++)
            if (!strcmp(name, n->info.name)) return n;
    return NULL;
}

const task_kind *task_kind_find(const char *name) {
    for (int i = 0; i < N_KINDS; i++)
        if (!strcmp(name, task_kinds[i]->name)) return task_kinds[i];
    return NULL;
}

const task_setting *task_setting_at(size_t i) {
    for (int k = 0; k < N_KINDS; i -= task_kinds[k++]->n_settings)
        if (i < task_kinds[k]->n_settings) return &task_kinds[k]->settings[i];
    return task_augment_setting(i);
}

size_t task_setting_find(const char *key) {
    size_t i = 0;
    for (const task_setting *s; (s = task_setting_at(i)) && strcmp(s->key, key) != 0;) i++;
    return i;
}

task_spec task_spec_default(void) {
    task_spec spec = {.task = "image_mlp"};
    const task_setting *s;
    for (size_t i = 0; (s = task_setting_at(i)); i++) task_set_standard(s, &spec);
    return spec;
}

static void fix_published_settings(const task_kind *kind, const task_spec *named, task_spec *spec) {
    for (size_t i = 0; i < kind->n_settings; i++) {
        const task_setting *s = &kind->settings[i];
        int open = kind->open_settings && task_choice_index(kind->open_settings, s->key) >= 0;
        if (!open || task_is_standard(s, spec)) task_copy_setting(s, named, spec);
    }
}

int task_spec_resolve(task_spec *spec, lopt_error *err) {
    if (task_kind_find(spec->task)) return 1;
    const task_name *name = find_published_name(spec->task);
    if (name) {
        const task_kind *kind = task_kind_find(name->spec.task);
        snprintf(spec->task, sizeof spec->task, "%s", kind->name);
        fix_published_settings(kind, &name->spec, spec);
        return 1;
    }
    char text[96];
    const task_info *info;
    lopt__suggestion s = lopt__suggestion_for(spec->task);
    for (size_t i = 0; (info = task_name_at(i)); i++) lopt__suggest_name(&s, info->name);
    return task_set_error(err, LOPT_EUNKNOWN, "there is no task \"%.64s\"%s: `metatrain list tasks` prints all",
                          spec->task, lopt__suggestion_text(&s, text, sizeof text));
}
