/* SPDX-License-Identifier: Apache-2.0
 *
 * arguments.c - see arguments.h. */
#include "cli/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Help is found by hand: argp would go on parsing after it unless it may exit. */
static unsigned help_asked(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-?"))
            return ARGP_HELP_STD_HELP & ~(unsigned)(ARGP_HELP_EXIT_OK | ARGP_HELP_EXIT_ERR);
        if (!strcmp(argv[i], "--usage")) return ARGP_HELP_USAGE;
    }
    return 0;
}

int mt_parse_arguments(const struct argp *parser, int argc, char **argv, int rank, void *options) {
    unsigned help = help_asked(argc, argv);
    if (help && rank == 0) argp_help(parser, stdout, help, argv[0]);
    if (help) return MT_DONE;
    unsigned flags = ARGP_NO_EXIT | (rank ? ARGP_SILENT : ARGP_NO_HELP);
    return argp_parse(parser, argc, argv, flags, NULL, options) ? MT_BAD_INPUT : -1;
}

error_t mt_take_set(struct argp_state *state, const char *arg, mt_sets *sets) {
    if (sets->n == MT_MAX_SETS) return argp_error(state, "more than %d times --set", MT_MAX_SETS), EINVAL;
    sets->text[sets->n++] = arg;
    return 0;
}

error_t mt_take_only(struct argp_state *state, const char *what, const char *arg, const char **place) {
    if (*place) return argp_error(state, "one %s expected, found \"%s\" after \"%s\"", what, arg, *place), EINVAL;
    *place = arg;
    return 0;
}

int mt_settings_of_sets(const mt_sets *sets, mt_set_settings *settings, lopt_error *err) {
    settings->n = 0;
    for (int i = 0; i < sets->n; i++) {
        const char *text = sets->text[i], *equals = strchr(text, '=');
        char *name = settings->name[i];
        if (!equals || equals == text || (size_t)(equals - text) >= sizeof settings->name[i])
            return mt_error(err, LOPT_EARG, "--set: found \"%.80s\", expected NAME=VALUE", text);
        snprintf(name, sizeof settings->name[i], "%.*s", (int)(equals - text), text);
        settings->at[settings->n++] = (lopt_setting){name, equals + 1};
    }
    return 1;
}
