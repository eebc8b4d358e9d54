/* SPDX-License-Identifier: Apache-2.0
 *
 * settings.h - hyperparameters as text and as values.
 *
 * Text is what a person writes in a configuration: 32, 0.01, true, before, [0.9, 0.99, 0.999]. A value is
 * an array of doubles: numbers as they are, a boolean as 0 or 1, a choice as its index. Numbers are
 * decimal; nan, inf and hexadecimal are refused. */
#ifndef LOPT_SETTINGS_H
#define LOPT_SETTINGS_H

#include "core/optimizer.h"

/* Text -> value; 0 and a message that starts with `where` if the text is not a value of the setting. */
int lopt__parse_setting(const lopt__kind *kind, const char *where, const lopt_setting *setting,
                        double value[][LOPT__MAX_LIST], lopt_error *err);
int lopt__find_hyper(const lopt__kind *kind, const char *name); /* -1 if absent */
const char *lopt__type_name(lopt__type type);

#endif
