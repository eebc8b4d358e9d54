/* SPDX-License-Identifier: Apache-2.0
 *
 * scalar.h - single values of a configuration: from YAML, checked, and back.
 *
 * Numbers are decimal text only; no octal, hexadecimal, NaN, infinity, spaces or trailing text. Readers return 0 and a
 * message on failure; path is the key in messages. */
#ifndef MT_SCALAR_H
#define MT_SCALAR_H

#include <stdint.h>

#include "config/yaml_tree.h"

int mt_read_integer(const mt_yaml *node, const char *path, const char *range, long long *out, lopt_error *err);
int mt_read_number(const mt_yaml *node, const char *path, const char *range, double *out, lopt_error *err);
int mt_read_seed(const mt_yaml *node, const char *path, uint64_t *out, lopt_error *err);
int mt_read_choice(const mt_yaml *node, const char *path, const char *choices, int *out, lopt_error *err);
/* "found ..., expected WHAT in RANGE"; returns 0. */
int mt_scalar_error(lopt_error *err, const mt_yaml *node, const char *path, const char *what, const char *range);
void mt_number_text(double value, char text[32]); /* shortest that reads back the same */

#endif
