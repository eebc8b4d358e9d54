/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.h - what `metatrain show optimizer NAME` and `metatrain show task NAME` print, and the
 * pieces of JSON that they share with `metatrain show FILE`.
 *
 *     mt_show_optimizer("small-fc", &(mt_sets){{"hidden_size=8"}, 1}, json, stdout, &err)
 *
 * sets: "name=value", a setting of the optimizer or a key of `tasks[]`, in place of the default. 1, or
 * 0 and a sentence. */
#ifndef MT_SHOW_NAMED_H
#define MT_SHOW_NAMED_H

#include <jansson.h>
#include <stdio.h>

#include "cli/arguments.h"
#include "lopt.h"

int mt_show_optimizer(const char *name, const mt_sets *sets, int json, FILE *f, lopt_error *err);
int mt_show_task(const char *name, const mt_sets *sets, int json, FILE *f, lopt_error *err);

json_t *mt_shape_json(int rank, const int64_t *dim);
/* Text of a setting as JSON: numbers, booleans and lists as such, choices as strings. */
json_t *mt_setting_json(const lopt_optimizer *opt, const char *name);
void mt_json_print(json_t *all, FILE *f); /* takes the reference */

#endif
