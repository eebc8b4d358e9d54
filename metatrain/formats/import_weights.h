/* SPDX-License-Identifier: Apache-2.0
 *
 * import_weights.h - weights of other programs become an optimizer.
 *
 *     mt_import *in = mt_import_open("pylo", paths, 2, "velo-pylo", &err);
 *     opt = mt_import_optimizer(in, "velo-pylo", settings, n, stdout, &err);      theta is set
 *     mt_import_free(in);
 *
 * Formats  flax (flax.h), safetensors (one file of ours, or any with our blocks' names), pylo (one
 *          folder, or two: the networks of VeLO; a file is taken for its model.safetensors).
 *
 * A file may know its preset (safetensors), settings (safetensors, PyLO's config.json: sizes of the
 * network) and provenance. What the caller gives counts more.
 *
 * Errors   NULL and a sentence that names the file and what in it is wrong. */
#ifndef MT_IMPORT_H
#define MT_IMPORT_H

#include "formats/tensor_map.h"
#include "store/theta_file.h"

enum { MT_IMPORT_SETTINGS = 64 };

typedef struct mt_import {
    mt_arrays *arrays;
    const mt_places *places;
    char *preset; /* NULL: the file does not say */
    size_t n_settings;
    char *setting_name[MT_IMPORT_SETTINGS], *setting_value[MT_IMPORT_SETTINGS];
    int n_notes; /* provenance */
    char *note_name[MT_MAX_PROVENANCE], *note_value[MT_MAX_PROVENANCE];
    char digest[33]; /* XXH3-128 of all arrays, names and bytes */
} mt_import;

/* Name of format i = 0, 1, ...; NULL past the last. */
const char *mt_import_format(size_t i);

/* preset may be NULL. Only pylo takes two paths. */
mt_import *mt_import_open(const char *format, const char *const *paths, int n_paths, const char *preset,
                          lopt_error *err);
void mt_import_free(mt_import *in);

/* For readers: 0 and a sentence if there are too many or memory is short. */
int mt_import_setting(mt_import *in, const char *name, const char *value, lopt_error *err);
int mt_import_note(mt_import *in, const char *name, const char *value, lopt_error *err);

/* preset NULL: the file's. Settings count over the file's; what is said of the work goes to notes.
 */
lopt_optimizer *mt_import_optimizer(mt_import *in, const char *preset, const lopt_setting *settings, size_t n_settings,
                                    FILE *notes, lopt_error *err);

/* For exporters: the command that reads `path` back as this optimizer, with every setting that is
 * not the preset's and, where the format lacks learned decays, with those. */
void mt_import_print_command(FILE *f, const char *path, const mt_places *places, const lopt_optimizer *opt);

#endif
