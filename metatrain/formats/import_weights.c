/* SPDX-License-Identifier: Apache-2.0
 *
 * import_weights.c - see formats/import_weights.h. */
#include "formats/import_weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "formats/flax.h"
#include "formats/pylo.h"
#include "formats/safetensors.h"

/* ---- what a file says besides arrays --------------------------------------------------------- */

/* ---- formats --------------------------------------------------------------------------------- */

static int open_flax(mt_import *in, const char *path, const char *preset, lopt_error *err) {
    (void)preset;
    return mt_flax_read(in->arrays, path, err);
}

static int take_metadata(mt_import *in, json_t *metadata, lopt_error *err) {
    const char *format = json_string_value(json_object_get(metadata, "format"));
    const char *preset = json_string_value(json_object_get(metadata, "optimizer")), *key;
    json_t *value;
    if (!format || !preset || strcmp(format, MT_SAFETENSORS_FORMAT) != 0) return 1; /* not of ours */
    if (!(in->preset = strdup(preset))) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", in->arrays->source);
    json_object_foreach(metadata, key, value) {
        if (strncmp(key, "settings.", 9) == 0 && !mt_import_setting(in, key + 9, json_string_value(value), err))
            return 0;
        if (strncmp(key, "provenance.", 11) == 0 && key[11] &&
            !mt_import_note(in, key + 11, json_string_value(value), err))
            return 0;
    }
    return 1;
}

static int open_safetensors(mt_import *in, const char *path, const char *preset, lopt_error *err) {
    json_t *metadata = NULL;
    (void)preset;
    int ok = mt_safetensors_read(in->arrays, path, &metadata, err) && take_metadata(in, metadata, err);
    json_decref(metadata);
    return ok;
}

typedef struct import_format {
    const mt_places *places;
    int (*open)(mt_import *in, const char *path, const char *preset, lopt_error *err);
    int max_paths;
} import_format;

static const import_format formats[] = {
    {&mt_places_flax, open_flax, 1},
    {&mt_places_pylo, mt_pylo_open, 2},
    {&mt_places_safetensors, open_safetensors, 1},
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

const char *mt_import_format(size_t i) {
    return i < N_FORMATS ? formats[i].places->format : NULL;
}

static const import_format *find_import_format(const char *name, lopt_error *err) {
    for (int i = 0; i < N_FORMATS; i++)
        if (strcmp(formats[i].places->format, name) == 0) return &formats[i];
    mt_error(err, LOPT_EUNKNOWN, "format \"%.40s\" is not one of flax, pylo, safetensors", name);
    return NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void digest_arrays(mt_import *in) {
    mt_digest d;
    mt_digest_begin(&d);
    for (size_t i = 0; i < in->arrays->n; i++) {
        const mt_array *a = &in->arrays->list[i];
        mt_digest_add(&d, a->name, strlen(a->name) + 1);
        mt_digest_add(&d, a->data, a->n * (size_t)a->dtype->bytes);
    }
    mt_digest_end(&d, in->digest);
}

static int open_paths(mt_import *in, const import_format *format, const char *const *paths, int n_paths,
                      const char *preset, lopt_error *err) {
    char source[400];
    if (n_paths < 1 || n_paths > format->max_paths)
        return mt_error(err, LOPT_EARG, "format %s is read from %s, found %d", format->places->format,
                        format->max_paths > 1 ? "one path or two" : "one path", n_paths);
    snprintf(source, sizeof source, "%.190s%s%.190s", paths[0], n_paths > 1 ? ", " : "", n_paths > 1 ? paths[1] : "");
    if (!(in->arrays = mt_arrays_create(source, err))) return 0;
    for (int i = 0; i < n_paths; i++)
        if (!format->open(in, paths[i], preset, err)) return 0;
    return mt_arrays_finish(in->arrays, err);
}

mt_import *mt_import_open(const char *format, const char *const *paths, int n_paths, const char *preset,
                          lopt_error *err) {
    const import_format *f = find_import_format(format, err);
    mt_import *in = f ? calloc(1, sizeof *in) : NULL;
    if (f && !in) mt_error(err, LOPT_ENOMEM, "out of memory");
    if (!in) return NULL;
    in->places = f->places;
    if (open_paths(in, f, paths, n_paths, preset, err)) {
        digest_arrays(in);
        return in;
    }
    mt_import_free(in);
    return NULL;
}

void mt_import_free(mt_import *in) {
    if (!in) return;
    for (size_t i = 0; i < in->n_settings; i++) {
        free(in->setting_name[i]);
        free(in->setting_value[i]);
    }
    for (int i = 0; i < in->n_notes; i++) {
        free(in->note_name[i]);
        free(in->note_value[i]);
    }
    free(in->preset);
    mt_arrays_free(in->arrays);
    free(in);
}

/* ---- the optimizer --------------------------------------------------------------------------- */

/* The caller's settings alone first, so that a mistake in them is not blamed on the file. */
static lopt_optimizer *create_imported(const mt_import *in, const char *preset, const lopt_setting *settings, size_t n,
                                       lopt_error *err) {
    lopt_setting all[2 * MT_IMPORT_SETTINGS];
    lopt_error why = {LOPT_OK, ""};
    size_t n_file = in->preset && strcmp(in->preset, preset) != 0 ? 0 : in->n_settings;
    lopt_optimizer *opt = lopt_create(preset, settings, n, err);
    if (!opt || n_file == 0) return opt;
    lopt_destroy(opt);
    for (size_t i = 0; i < n_file; i++) all[i] = (lopt_setting){in->setting_name[i], in->setting_value[i]};
    for (size_t i = 0; i < n; i++) all[n_file + i] = settings[i];
    opt = lopt_create(preset, all, n_file + n, &why);
    if (!opt) mt_error(err, why.status, "%s: %.400s", in->arrays->source, why.text);
    return opt;
}

lopt_optimizer *mt_import_optimizer(mt_import *in, const char *preset, const lopt_setting *settings, size_t n_settings,
                                    FILE *notes, lopt_error *err) {
    const char *name = preset ? preset : in->preset;
    if (!name || n_settings > MT_IMPORT_SETTINGS) {
        mt_error(err, LOPT_EARG, name ? "%s: too many settings" : "%s: does not say what optimizer it is of",
                 in->arrays->source);
        return NULL;
    }
    if (preset && in->preset && strcmp(preset, in->preset) != 0)
        fprintf(notes, "%s: written for optimizer %s; its settings are not used\n", in->arrays->source, in->preset);
    lopt_optimizer *opt = create_imported(in, name, settings, n_settings, err);
    if (opt && lopt_n_theta(opt) == 0)
        mt_error(err, LOPT_EARG, "%s: optimizer %s is hand-designed and has no weights to import", in->arrays->source,
                 name);
    else if (opt && mt_arrays_to_theta(in->arrays, in->places, opt, notes, err))
        return opt;
    lopt_destroy(opt);
    return NULL;
}
