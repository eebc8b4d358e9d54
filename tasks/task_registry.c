/* SPDX-License-Identifier: Apache-2.0
 *
 * task_registry.c - every kind of task, and the published names that stand for a kind with fixed sizes.
 *
 * A new kind is one file in models/ or families/ and its name twice here, as are a table of published names
 * and a parametric family. A published name becomes its kind in task_spec_resolve, so what a caller sets after
 * that overrides the published sizes. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/suggest.h"
#include "declare.h"

extern const task_kind task_kind_image_mlp;
extern const task_kind task_kind_image_conv;
extern const task_kind task_kind_image_resnet;
extern const task_kind task_kind_mlp_autoencoder;
extern const task_kind task_kind_mlp_vae;
extern const task_kind task_kind_rnn_lm;
extern const task_kind task_kind_transformer_lm;
extern const task_kind task_kind_vit;
extern const task_kind task_kind_mlp_mixer;
extern const task_kind task_kind_quadratic;
extern const task_kind task_kind_quadratic_family;
extern const task_kind task_kind_noisy_quadratic;
extern const task_kind task_kind_log_quadratic;
extern const task_kind task_kind_sum_quadratic;
extern const task_kind task_kind_noisy_mean_quadratic;

const task_kind *const task_kinds[] = {
    &task_kind_image_mlp,     &task_kind_image_conv,    &task_kind_image_resnet,         &task_kind_mlp_autoencoder,
    &task_kind_mlp_vae,       &task_kind_rnn_lm,        &task_kind_transformer_lm,       &task_kind_vit,
    &task_kind_mlp_mixer,     &task_kind_quadratic,     &task_kind_quadratic_family,     &task_kind_noisy_quadratic,
    &task_kind_log_quadratic, &task_kind_sum_quadratic, &task_kind_noisy_mean_quadratic, NULL,
};

enum { N_KINDS = sizeof task_kinds / sizeof *task_kinds - 1 };

extern const task_name task_names_image_mlp[];
extern const task_name task_names_image_conv[];
extern const task_name task_names_image_resnet[];
extern const task_name task_names_mlp_autoencoder[];
extern const task_name task_names_rnn_lm[];
extern const task_name task_names_transformer_lm[];
extern const task_name task_names_vit[];
extern const task_name task_names_mlp_mixer[];
extern const task_name task_names_quadratic[];

/* Tables of published names, each ended by a row without a name. */
static const task_name *const names[] = {
    task_names_image_mlp, task_names_image_conv,     task_names_image_resnet, task_names_mlp_autoencoder,
    task_names_rnn_lm,    task_names_transformer_lm, task_names_vit,          task_names_mlp_mixer,
    task_names_quadratic,
};

enum { N_TABLES = sizeof names / sizeof *names };

extern const task_family task_family_image_mlp;
extern const task_family task_family_image_conv;
extern const task_family task_family_image_resnet;
extern const task_family task_family_mlp_autoencoder;
extern const task_family task_family_mlp_vae;
extern const task_family task_family_rnn_lm;
extern const task_family task_family_transformer_lm;
extern const task_family task_family_vit;

static const task_family *const families[] = {
    &task_family_image_mlp, &task_family_image_conv, &task_family_image_resnet,   &task_family_mlp_autoencoder,
    &task_family_mlp_vae,   &task_family_rnn_lm,     &task_family_transformer_lm, &task_family_vit,
};

enum { N_FAMILIES = sizeof families / sizeof *families };

/* A kind begins with the two fields of a task_info, so a kind can serve as one. */
_Static_assert(offsetof(task_kind, name) == offsetof(task_info, name) &&
                   offsetof(task_kind, summary) == offsetof(task_info, summary),
               "task_kind starts like task_info");

const task_info *task_known(size_t i) {
    if (i < N_KINDS) return (const task_info *)(const void *)task_kinds[i];
    i -= N_KINDS;
    for (int t = 0; t < N_TABLES; t++)
        for (const task_name *n = names[t]; n->info.name; n++)
            if (i-- == 0) return &n->info;
    return NULL;
}

const task_family *task_family_known(size_t i) {
    return i < N_FAMILIES ? families[i] : NULL;
}

static const task_name *find_name(const char *name) {
    for (int t = 0; t < N_TABLES; t++)
        for (const task_name *n = names[t]; n->info.name; n++)
            if (!strcmp(name, n->info.name)) return n;
    return NULL;
}

const task_kind *task_kind_find(const char *name) {
    for (int i = 0; i < N_KINDS; i++)
        if (!strcmp(name, task_kinds[i]->name)) return task_kinds[i];
    return NULL;
}

int task_spec_resolve(task_spec *spec, lopt_error *err) {
    if (task_kind_find(spec->task)) return 1;
    const task_name *name = find_name(spec->task);
    if (name) {
        const task_kind *kind = task_kind_find(name->spec.task);
        snprintf(spec->task, sizeof spec->task, "%s", kind->name);
        if (kind->fix) kind->fix(&name->spec, spec);
        return 1;
    }
    char text[96];
    const task_info *info;
    lopt__suggestion s = lopt__suggestion_for(spec->task);
    for (size_t i = 0; (info = task_known(i)); i++) lopt__suggest_name(&s, info->name);
    return task_fail(err, LOPT_EUNKNOWN, "there is no task \"%.64s\"%s: `metatrain list tasks` prints all", spec->task,
                     lopt__suggestion_text(&s, text, sizeof text));
}

int task_family_sample(task_spec *spec, lopt_rng_stream *r, double max_flops, lopt_error *err) {
    enum { DRAWS = 512 };
    const task_family *family = NULL;
    for (int i = 0; i < N_FAMILIES; i++)
        if (!strcmp(spec->task, families[i]->name)) family = families[i];
    if (!family) return task_fail(err, LOPT_EUNKNOWN, "there is no family \"%.64s\"", spec->task);
    for (int i = 0; i < DRAWS; i++) {
        task_spec drawn = *spec;
        lopt_error why = {LOPT_OK, ""};
        family->sample(&drawn, r);
        task *t = max_flops > 0 ? task_create(&drawn, &why) : NULL;
        if (max_flops > 0 && !t && why.status != LOPT_ESHAPE) return task_fail(err, why.status, "%s", why.text);
        int cheap = t ? t->flops_per_step <= max_flops : max_flops <= 0;
        task_destroy(t);
        if (cheap) {
            *spec = drawn;
            return 1;
        }
    }
    return task_fail(err, LOPT_EARG, "%s: none of %d draws costs at most %g FLOP a step", family->name, DRAWS,
                     max_flops);
}
