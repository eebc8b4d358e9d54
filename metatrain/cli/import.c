/* SPDX-License-Identifier: Apache-2.0
 *
 * import_weights.c - `metatrain import`: weights of other programs become a theta file. Formats are in
 * metatrain/formats/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "formats/import_weights.h"

enum { MAX_PATHS = 2 };

/* ---- arguments ------------------------------------------------------------------------------- */

typedef struct import_options {
    const char *path[MAX_PATHS], *from, *preset, *out;
    int n_paths;
    mt_sets sets;
} import_options;

static const char doc[] =
    "Read weights that another program meta-trained, as theta of optimizer PRESET.\v"
    "flax: a tree of JAX in MessagePack (theta.state, params, *.ckpt). pylo: a folder of PyLO or "
    "of "
    "Hugging Face with a model.safetensors; the two networks of VeLO are two folders, or rnn and "
    "mlp in one. safetensors: one file with our blocks' names, as export writes it; it may say its "
    "PRESET itself.\n\n"
    "Sizes of the network come from config.json (pylo), from the file (safetensors), else from "
    "PRESET; --set counts over all. What a format cannot hold, such as learned decays in pylo, is "
    "taken from the settings, which is said. Every array must fit; else nothing is written and the "
    "status is 2.\n\n"
    "Examples:\n"
    "  metatrain import theta.state --from flax --optimizer celo --out celo.h5\n"
    "  metatrain import velo-rnn velo-mlp --from pylo --optimizer velo-pylo --out velo.h5\n"
    "  metatrain import small.state --from flax --optimizer small-fc --set hidden_size=32 "
    "--out small.h5\n";

static const struct argp_option options[] = {
    {"from", 'f', "FORMAT", 0, "flax, pylo or safetensors", 0},
    {"optimizer", 'O', "PRESET", 0, "what the weights are of (metatrain list optimizers)", 0},
    {"set", 's', "NAME=VALUE", 0, "a hyperparameter of PRESET (repeatable)", 0},
    {"out", 'o', "THETA.h5", 0, "theta file to write", 0},
    {0}};

static int is_format(const char *name) {
    for (size_t i = 0; mt_import_format(i); i++)
        if (strcmp(mt_import_format(i), name) == 0) return 1;
    return 0;
}

static error_t check_import_arguments(const import_options *o, struct argp_state *state) {
    if (o->n_paths == 0) return argp_error(state, "FILE is missing: the weights to import"), EINVAL;
    if (!o->from) return argp_error(state, "--from is missing: flax, pylo or safetensors"), EINVAL;
    if (!o->preset && strcmp(o->from, "safetensors") != 0)
        return argp_error(state, "--optimizer is missing: the preset that the weights are of"), EINVAL;
    if (!o->out || !o->out[0]) return argp_error(state, "--out is missing: the theta file to write"), EINVAL;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    import_options *o = state->input;
    switch (key) {
    case 'f':
        if (!is_format(arg))
            return argp_error(state, "--from: found \"%s\", expected flax, pylo or safetensors", arg), EINVAL;
        o->from = arg;
        return 0;
    case 'O':
        o->preset = arg;
        return 0;
    case 's':
        return mt_take_set(state, arg, &o->sets);
    case 'o':
        o->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->n_paths == MAX_PATHS)
            return argp_error(state, "at most %d paths expected, found \"%s\" too", MAX_PATHS, arg), EINVAL;
        o->path[o->n_paths++] = arg;
        return 0;
    case ARGP_KEY_END:
        return check_import_arguments(o, state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

/* What the file knew of its past, and this step. */
static int write_theta(const import_options *o, mt_import *in, const lopt_optimizer *opt, lopt_error *err) {
    mt_note notes[MT_MAX_PROVENANCE + 3];
    int n = 0;
    for (int i = 0; i < in->n_notes && n < MT_MAX_PROVENANCE - 3; i++)
        if (strncmp(in->note_name[i], "imported_", 9) != 0) notes[n++] = (mt_note){in->note_name[i], in->note_value[i]};
    notes[n++] = (mt_note){"imported_from", in->arrays->source};
    notes[n++] = (mt_note){"imported_format", o->from};
    notes[n++] = (mt_note){"imported_digest", in->digest};
    if (!mt_theta_file_write(o->out, opt, lopt_theta(opt), notes, n, err)) return 0;
    printf("%s: optimizer %s, %zu numbers from %s\n", o->out, lopt_info(opt)->name, lopt_n_theta(opt),
           in->arrays->source);
    return 1;
}

int mt_command_import(int argc, char **argv) {
    static const struct argp parser = {options, parse, "FILE [FILE2]", doc, 0, 0, 0};
    import_options o = {0};
    mt_set_settings settings;
    lopt_error err = {LOPT_OK, ""};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    if (!mt_settings_of_sets(&o.sets, &settings, &err)) return mt_print_error(&err);
    mt_import *in = mt_import_open(o.from, o.path, o.n_paths, o.preset, &err);
    lopt_optimizer *opt = in ? mt_import_optimizer(in, o.preset, settings.at, settings.n, stdout, &err) : NULL;
    int ok = opt && write_theta(&o, in, opt, &err);
    lopt_destroy(opt);
    mt_import_free(in);
    return ok ? MT_DONE : mt_print_error(&err);
}
