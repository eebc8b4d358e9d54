/* SPDX-License-Identifier: Apache-2.0
 *
 * arguments.h - argp with the statuses of commands.h.
 *
 *     int status = mt_parse_arguments(&parser, argc, argv, rank, &options);
 *     if (status >= 0) return status;       0 after --help, 2 after a usage error
 *
 * Nothing exits, so MPI can be closed; ranks above 0 print nothing. A parser reports a mistake by
 * `return argp_error(state, "..."), EINVAL;`. */
#ifndef MT_ARGUMENTS_H
#define MT_ARGUMENTS_H

#include <argp.h>

int mt_parse_arguments(const struct argp *parser, int argc, char **argv, int rank, void *options);

#endif
