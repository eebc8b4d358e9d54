/* SPDX-License-Identifier: Apache-2.0
 *
 * pylo.h - folders that PyLO's networks load (PyTorchModelHubMixin), written and read.
 *
 *     mt_pylo_write("runs/first/pylo", theta, stdout, &err);
 *
 *     model.safetensors   the network, names and shapes as in weight_names.h
 *     config.json         arguments of the network's constructor: sizes
 *     README.md           what it is, how to load it, what the format cannot hold, provenance
 *
 * VeLO has two networks: rnn/ and mlp/ hold a model.safetensors and a config.json each. A folder is
 * built beside and renamed; one that is there already is replaced if it is empty or an earlier
 * export and holds nothing else. What a user must pass to PyLO's optimizer, because it is no part
 * of the format, is written to `notes`. */
#ifndef MT_PYLO_H
#define MT_PYLO_H

#include <stdio.h>

#include "formats/import_record.h"
#include "store/theta_file.h"

/* 1, or 0 and a sentence. */
int mt_pylo_write(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err);

/* Adds the arrays, sizes and provenance of a folder (or of its rnn/ and mlp/), or of one
 * model.safetensors. What config.json says is read for networks of the preset's kind. */
int mt_pylo_open(mt_import *in, const char *path, const char *preset, lopt_error *err);

#endif
