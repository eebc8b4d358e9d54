/* SPDX-License-Identifier: Apache-2.0
 *
 * export.c - `metatrain export`: theta for other programs. Formats are in metatrain/formats/. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "formats/c_header.h"
#include "formats/flax.h"
#include "formats/pylo.h"
#include "formats/safetensors.h"
#include "store/theta_file.h"

typedef struct format {
    const char *name;
    int (*write)(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err);
} format;

static const format formats[] = {
    {"pylo", mt_pylo_write},
    {"flax", mt_flax_export},
    {"safetensors", mt_safetensors_export},
    {"c-header", mt_c_header_write},
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

typedef struct export_options {
    const char *theta, *out;
    const format *to;
} export_options;

static const char doc[] = "Write the optimizer in THETA for other programs.\v"
                          "pylo: a folder that PyLO's networks load (model.safetensors, config.json, README.md), for "
                          "optimizers that PyLO has. flax: a tree of JAX in MessagePack (theta.state), for any learned "
                          "optimizer. safetensors: one file with our blocks' names, settings and provenance. c-header: "
                          "one C "
                          "header with theta inside that steps an array of parameters and needs nothing but libm. What "
                          "a format cannot hold is said. An earlier export at PATH is replaced once the new one is "
                          "complete. The first three come back with metatrain import.\n\n"
                          "Examples:\n"
                          "  metatrain export runs/quickstart/theta.h5 --to pylo --out my-optimizer\n"
                          "  metatrain export celo.h5 --to flax --out theta.state\n"
                          "  metatrain export runs/quickstart/theta.h5 --to c-header --out my_optimizer.h\n";

static const struct argp_option options[] = {{"to", 't', "FORMAT", 0, "pylo, flax, safetensors or c-header", 0},
                                             {"out", 'o', "PATH", 0, "folder (pylo) or file (others) to write", 0},
                                             {0}};

static const format *find_export_format(const char *name) {
    for (int i = 0; i < N_FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

static error_t check_export_arguments(const export_options *o, struct argp_state *state) {
    if (!o->theta) return argp_error(state, "THETA is missing: the theta file to export"), EINVAL;
    if (!o->to) return argp_error(state, "--to is missing: pylo, flax, safetensors or c-header"), EINVAL;
    if (!o->out || !o->out[0]) return argp_error(state, "--out is missing: where to write"), EINVAL;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    export_options *o = state->input;
    switch (key) {
    case 't':
        o->to = find_export_format(arg);
        if (!o->to)
            return argp_error(state, "--to: found \"%s\", expected pylo, flax, safetensors or c-header", arg), EINVAL;
        return 0;
    case 'o':
        o->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        return mt_take_only(state, "THETA", arg, &o->theta);
    case ARGP_KEY_END:
        return check_export_arguments(o, state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int mt_command_export(int argc, char **argv) {
    static const struct argp parser = {options, parse, "THETA", doc, 0, 0, 0};
    export_options o = {0};
    lopt_error err = {LOPT_OK, ""};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    mt_theta_file *theta = mt_theta_file_read(o.theta, &err);
    int ok = theta && o.to->write(o.out, theta, stdout, &err);
    mt_theta_file_free(theta);
    return ok ? MT_DONE : mt_print_error(&err);
}
