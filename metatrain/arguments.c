/* SPDX-License-Identifier: Apache-2.0
 *
 * arguments.c - see arguments.h. */
#include "arguments.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"

/* Help is found by hand: argp would go on parsing after it unless it may exit. */
static unsigned help_asked(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-?"))
            return ARGP_HELP_STD_HELP & ~(unsigned)(ARGP_HELP_EXIT_OK | ARGP_HELP_EXIT_ERR);
        if (!strcmp(argv[i], "--usage"))
            return ARGP_HELP_USAGE;
    }
    return 0;
}

int mt_parse_arguments(const struct argp *parser, int argc, char **argv, int rank, void *options) {
    unsigned help = help_asked(argc, argv);
    if (help && rank == 0)
        argp_help(parser, stdout, help, argv[0]);
    if (help)
        return MT_DONE;
    unsigned flags = ARGP_NO_EXIT | (rank ? ARGP_SILENT : ARGP_NO_HELP);
    return argp_parse(parser, argc, argv, flags, NULL, options) ? MT_BAD_INPUT : -1;
}
