/* SPDX-License-Identifier: Apache-2.0
 *
 * data.c - `metatrain data`: which data sets are here, and files made into one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "data/classes.h"
#include "data/npy.h"
#include "data/shared.h"
#include "data/synthetic.h"
#include "store/dataset_hdf5.h"

enum { PARTS_KEY = 256 }; /* --train is PARTS_KEY + TASK_TRAIN, ... */

typedef struct data_options {
    const char *action, *out, *path;
    const char *parts[TASK_N_SPLITS];
    int size;
} data_options;

static const char doc[] =
    "Data sets: ACTION is list, convert or clear.\v"
    "list: every data set that a configuration may name, where it was found, else how to get it.\n"
    "convert: writes the HDF5 file OUT (docs/data.md) from parts, each of them a folder with one "
    "sub-folder of PNG, PPM or PGM pictures a class, or two arrays of NumPy, "
    "IMAGES.npy,LABELS.npy: "
    "images [n, H, W] or [n, H, W, C] of uint8, or a table [n, d].\n"
    "clear: empties the folder in which processes share data sets.\n\n"
    "Examples:\n"
    "  metatrain data list --path /data\n"
    "  metatrain data convert flowers.h5 --train flowers/train --test flowers/test --size 32\n"
    "  metatrain data convert /data/svhn_cropped.h5 --train x.npy,y.npy --test xt.npy,yt.npy\n";

static const struct argp_option options[] = {
    {"path", 'p', "FOLDERS", 0, "list: folders to search, as data.path", 0},
    {"train", PARTS_KEY + TASK_TRAIN, "PART", 0, "convert: the training part", 0},
    {"inner-valid", PARTS_KEY + TASK_INNER_VALID, "PART", 0, "convert: what tunes, if apart", 0},
    {"outer-valid", PARTS_KEY + TASK_OUTER_VALID, "PART", 0, "convert: what meta-trains, if apart", 0},
    {"test", PARTS_KEY + TASK_TEST, "PART", 0, "convert: the test part", 0},
    {"size", 's', "N", 0, "convert: pictures become N x N", 0},
    {0}};

static error_t take_image_size(struct argp_state *state, const char *arg, int *size) {
    char *end;
    long n = strtol(arg, &end, 10);
    if (end == arg || *end || n < 1 || n > TASK_RAW_MAX_SIDE)
        return argp_error(state, "--size: found \"%s\", expected 1 to %d", arg, TASK_RAW_MAX_SIDE), EINVAL;
    *size = (int)n;
    return 0;
}

static error_t check_data_arguments(const data_options *o, struct argp_state *state) {
    static const char *const actions[] = {"list", "convert", "clear"};
    int known = 0;
    for (int i = 0; o->action && i < 3; i++) known |= strcmp(o->action, actions[i]) == 0;
    if (!known)
        return argp_error(state, "found %s, expected ACTION list, convert or clear", o->action ? o->action : "nothing"),
               EINVAL;
    int converts = strcmp(o->action, "convert") == 0;
    if (converts && (!o->out || !o->parts[TASK_TRAIN]))
        return argp_error(state, "convert: OUT and --train are needed"), EINVAL;
    if (!converts && o->out)
        return argp_error(state, "%s: found \"%s\", expected nothing more", o->action, o->out), EINVAL;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    data_options *o = state->input;
    if (key >= PARTS_KEY && key < PARTS_KEY + TASK_N_SPLITS) {
        o->parts[key - PARTS_KEY] = arg;
        return 0;
    }
    switch (key) {
    case 'p':
        o->path = arg;
        return 0;
    case 's':
        return take_image_size(state, arg, &o->size);
    case ARGP_KEY_ARG:
        if (!o->action) {
            o->action = arg;
            return 0;
        }
        return mt_take_only(state, "OUT", arg, &o->out);
    case ARGP_KEY_END:
        return check_data_arguments(o, state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- list ------------------------------------------------------------------------------------ */

static void list_sets(const char *path) {
    const task_source_info *info;
    task_source s;
    char folder[4096];
    size_t n_blocks;
    for (size_t i = 0; (info = task_source_known(i)); i++) {
        printf("%-16s  %s\n", info->name, info->summary);
        if (task_source_find(info->name, path, &s, NULL))
            printf("%16s  found: %s\n", "", s.files[0]);
        else
            printf("%16s  missing: %s%s\n", "", info->package ? "apt-get install " : info->get,
                   info->package ? info->package : "");
    }
    for (size_t i = 0; task_synthetic_known(i); i++)
        printf("%-16s  %s\n%16s  needs no file\n", task_synthetic_known(i)->name, task_synthetic_known(i)->summary, "");
    task_shared_folder(folder, sizeof folder);
    size_t bytes = task_shared_usage(&n_blocks);
    printf("\nshared between processes in %s: %zu sets, %.1f MB\n", folder, n_blocks, (double)bytes / 1e6);
}

/* ---- convert --------------------------------------------------------------------------------- */

/* Pictures of an array, each resized. */
static int resize_images(const task_npy *images, const task_npy *labels, int size, task_raw *raw, lopt_error *err) {
    task_raw whole = *raw;
    size_t room = 0;
    int done = task_npy_examples(images, labels, &whole, err);
    size_t bytes = (size_t)whole.rows * (size_t)whole.cols * (size_t)whole.channels;
    for (size_t i = 0; done && i < whole.n; i++) {
        task_image one = {whole.rows, whole.cols, whole.channels, whole.bytes + i * bytes};
        done = task_classes_add(raw, &room, &one, size, whole.labels[i], err);
    }
    task_raw_free(&whole);
    return done;
}

static int read_arrays(const char *text, int size, task_raw *raw, lopt_error *err) {
    task_npy images, labels;
    const char *comma = strchr(text, ',');
    snprintf(raw->path, TASK_PATH, "%.*s", (int)(comma - text), text);
    snprintf(raw->labels_path, TASK_PATH, "%s", comma + 1);
    size_t n_images, n_labels;
    unsigned char *x = task_file_bytes(raw->path, &n_images, err);
    unsigned char *y = x ? task_file_bytes(raw->labels_path, &n_labels, err) : NULL;
    int done = y && task_npy_parse(raw->path, x, n_images, &images, err) &&
               task_npy_parse(raw->labels_path, y, n_labels, &labels, err);
    if (done)
        done = (size && images.rank > 2 ? resize_images(&images, &labels, size, raw, err)
                                        : task_npy_examples(&images, &labels, raw, err));
    free(x);
    free(y);
    return done;
}

static int convert_data(const data_options *o, lopt_error *err) {
    task_raw *parts = calloc(TASK_N_SPLITS, sizeof *parts);
    char *names = NULL;
    if (!parts) return mt_error(err, LOPT_ENOMEM, "out of memory");
    int done = 1;
    for (int i = 0; done && i < TASK_N_SPLITS; i++) {
        if (!o->parts[i]) continue;
        done = strchr(o->parts[i], ',') ? read_arrays(o->parts[i], o->size, &parts[i], err)
                                        : task_classes_read(o->parts[i], o->size, &parts[i], &names, err);
        if (done)
            printf("%s: %zu examples of %d x %d x %d\n", o->parts[i], parts[i].n, parts[i].rows, parts[i].cols,
                   parts[i].channels);
    }
    done = done && mt_data_file_write(o->out, parts, names, err);
    for (int i = 0; i < TASK_N_SPLITS; i++) task_raw_free(&parts[i]);
    free(parts);
    free(names);
    return done;
}

int mt_command_data(int argc, char **argv) {
    static const struct argp parser = {options, parse, "ACTION [OUT]", doc, 0, 0, 0};
    data_options o = {.path = ""};
    lopt_error err = {LOPT_OK, ""};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    if (strcmp(o.action, "list") == 0)
        list_sets(o.path);
    else if (strcmp(o.action, "clear") == 0)
        task_shared_clear();
    else if (!convert_data(&o, &err))
        return mt_print_error(&err);
    return MT_DONE;
}
