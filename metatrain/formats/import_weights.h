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

#include "formats/import_record.h"

/* Name of format i = 0, 1, ...; NULL past the last. */
const char *mt_import_format(size_t i);

/* preset may be NULL. Only pylo takes two paths. */
mt_import *mt_import_open(const char *format, const char *const *paths, int n_paths, const char *preset,
                          lopt_error *err);
void mt_import_free(mt_import *in);

/* preset NULL: the file's. Settings count over the file's; what is said of the work goes to notes.
 */
lopt_optimizer *mt_import_optimizer(mt_import *in, const char *preset, const lopt_setting *settings, size_t n_settings,
                                    FILE *notes, lopt_error *err);

#endif
