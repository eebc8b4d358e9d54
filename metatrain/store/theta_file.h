/* SPDX-License-Identifier: Apache-2.0
 *
 * theta_file.h - theta.h5, the small file that people pass around (docs/file-formats.md).
 *
 * Holds the optimizer's preset and settings, every block of theta by name, provenance (a flat list of
 * name = text) and a digest over all of it. Written beside, synced, renamed: a theta file is complete or
 * absent. Reading trusts nothing: names, shapes, sizes, totals, digest and finiteness are checked, and the
 * sentence names the file. HDF5 is called only here and in checkpoint.c (through hdf5_file.h). */
#ifndef MT_THETA_FILE_H
#define MT_THETA_FILE_H

#include "lopt.h"

#define MT_MAX_PROVENANCE 32

typedef struct mt_note {
    const char *name, *value; /* "seed" = "1", "outer_step" = "500", "config" = YAML text, ... */
} mt_note;

/* 0 and a sentence on failure (statuses: LOPT_EARG bad input, else the work failed). */
int mt_theta_file_write(const char *path, const lopt_optimizer *opt, const float *theta, const mt_note *notes,
                        int n_notes, lopt_error *err);

typedef struct mt_theta_file {
    lopt_optimizer *optimizer; /* with theta set */
    int n_notes;
    char *note_name[MT_MAX_PROVENANCE], *note_value[MT_MAX_PROVENANCE];
} mt_theta_file;

mt_theta_file *mt_theta_file_read(const char *path, lopt_error *err);
void mt_theta_file_free(mt_theta_file *theta);

/* digest over theta's layout (block names, shapes) and bits: 32 hex digits of XXH3-128. */
void mt_theta_digest(const lopt_optimizer *opt, const float *theta, char hex[33]);

/* A shape as text: "(39, 32)". */
void mt_shape_text(int rank, const int64_t *dim, char *text, size_t bytes);

#endif
