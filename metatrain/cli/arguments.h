/* SPDX-License-Identifier: Apache-2.0
 *
 * arguments.h - argp with the statuses of base/error.h.
 *
 *     int status = mt_parse_arguments(&parser, argc, argv, rank, &options);
 *     if (status >= 0) return status;       0 after --help, 2 after a usage error
 *
 * Nothing exits, so MPI can be closed; ranks above 0 print nothing. A parser reports a mistake by
 * `return argp_error(state, "..."), EINVAL;`, as these parts of parsers do:
 *
 *     case 's': return mt_take_set(state, arg, &o->sets);
 *     case ARGP_KEY_ARG: return mt_take_only(state, "CONFIG", arg, &o->config); */
#ifndef MT_ARGUMENTS_H
#define MT_ARGUMENTS_H

#include <argp.h>

#include "lopt.h"

enum { MT_MAX_SETS = 64 };

/* --set KEY=VALUE, as often as wanted. */
typedef struct mt_sets {
    const char *text[MT_MAX_SETS];
    int n;
} mt_sets;

/* The same, for an optimizer: text cut at '='. */
typedef struct mt_set_settings {
    lopt_setting at[MT_MAX_SETS];
    char name[MT_MAX_SETS][256];
    size_t n;
} mt_set_settings;

int mt_parse_arguments(const struct argp *parser, int argc, char **argv, int rank, void *options);

error_t mt_take_set(struct argp_state *state, const char *arg, mt_sets *sets);
/* *place = arg; a mistake if there is one already. */
error_t mt_take_only(struct argp_state *state, const char *what, const char *arg, const char **place);

/* *settings point into sets and themselves. 0 and a sentence for a text that is not NAME=VALUE. */
int mt_settings_of_sets(const mt_sets *sets, mt_set_settings *settings, lopt_error *err);

#endif
