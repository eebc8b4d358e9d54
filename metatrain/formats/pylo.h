/* SPDX-License-Identifier: Apache-2.0
 *
 * pylo.h - a folder that PyLO's MetaMLP loads (PyTorchModelHubMixin).
 *
 *     mt_pylo_write("runs/first/pylo", theta, stdout, &err);
 *
 *     model.safetensors   network.{input,linear_<i>,output}.{weight,bias}, weights (out, in)
 *     config.json         input_size, hidden_size, hidden_layers (PyLO counts hidden-to-hidden ones)
 *     README.md           what it is, how to load it, what the format cannot hold, provenance
 *
 * The folder is built beside and renamed. One that is there already is replaced if it is empty or
 * holds these files and no others. Writes to `notes` what a user must pass to PyLO's optimizer,
 * because decays and rates are no part of the format. 1, or 0 and a sentence. */
#ifndef MT_PYLO_H
#define MT_PYLO_H

#include <stdio.h>

#include "theta_file.h"

int mt_pylo_write(const char *path, const mt_theta *theta, FILE *notes, lopt_error *err);

#endif
