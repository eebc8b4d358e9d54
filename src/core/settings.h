/* SPDX-License-Identifier: Apache-2.0
 *
 * settings.h - hyperparameters as text and as values.
 *
 * Text is what a configuration contains: 32, 0.01, true, before, [0.9, 0.99, 0.999]. A value is an array of
 * doubles: a number as it is, a boolean as 0 or 1, a choice as its index. Numbers are decimal; nan, inf and
 * hexadecimal are rejected. */
#ifndef LOPT_SETTINGS_H
#define LOPT_SETTINGS_H

#include "core/optimizer.h"

/* Text -> value. 0, and a message that starts with `where`, if the name or the text is not valid. */
int lopt__parse_setting(const lopt__kind *kind, const char *where, const lopt_setting *setting,
                        double value[][LOPT__MAX_LIST], lopt_error *err);
int lopt__find_hyper(const lopt__kind *kind, const char *name); /* -1 if absent */
const char *lopt__type_name(lopt__type type);

#endif
