/* SPDX-License-Identifier: Apache-2.0
 *
 * import_record.h - what was read of a file of weights, as readers of formats fill it and import_weights.h uses it; and
 * the command that reads an exported file again. */
#ifndef MT_IMPORT_RECORD_H
#define MT_IMPORT_RECORD_H

#include <stdio.h>

#include "formats/tensor_map.h"
#include "formats/weight_names.h"
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

/* For readers: 0 and a message if there are too many or memory is short. */
int mt_import_setting(mt_import *in, const char *name, const char *value, lopt_error *err);
int mt_import_note(mt_import *in, const char *name, const char *value, lopt_error *err);

/* For exporters: the command that reads `path` back as this optimizer, with every setting that is
 * not the preset's and, where the format lacks learned decays, with those. */
void mt_import_print_command(FILE *f, const char *path, const mt_places *places, const lopt_optimizer *opt);

#endif
