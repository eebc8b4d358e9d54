/* SPDX-License-Identifier: Apache-2.0
 *
 * install_path.h - files that come with the program.
 *
 *     char path[PATH_MAX];
 *     if (mt_find_installed("configs/eval/quickstart.yaml", path, sizeof path)) ...
 *
 * Looks in the folder of the program and those above it: for the name itself (a build folder has links to
 * configs/ and scripts/ of the source), and for share/metatrain/NAME (above bin/metatrain of an installed
 * one). 1 if it is there. */
#ifndef MT_BESIDE_H
#define MT_BESIDE_H

#include <stddef.h>

int mt_find_installed(const char *name, char *path, size_t bytes);
int mt_program_path(char *path, size_t bytes); /* of this program */

#endif
