/* SPDX-License-Identifier: Apache-2.0
 *
 * show.c - `metatrain show`: what a theta file or a checkpoint holds; what an optimizer or a task
 * is (describe.c). */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text_table.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "config/config.h"
#include "store/checkpoint.h"
#include "store/hdf5_file.h"
#include "store/theta_file.h"

enum { PATH_BYTES = 2048, TEXT_BYTES = 256 };

/* ---- arguments ------------------------------------------------------------------------------- */

typedef struct show_options {
    const char *what[2]; /* FILE, or what to show and its name */
    mt_sets sets;
    int n_what, json;
} show_options;

static const char doc[] = "Say what FILE holds: optimizer, hyperparameters, blocks of theta, where it comes from; or "
                          "what "
                          "the optimizer or the task NAME is: hyperparameters and blocks of theta, or tensors.\v"
                          "FILE is a theta file, a checkpoint (its folder or its run.h5), or the folder of a run, "
                          "which stands "
                          "for its theta.h5. The line `digest:` is a digest of theta's layout and bits: equal digests "
                          "are equal "
                          "theta. A damaged file is named and gives status 2.\n\n"
                          "NAME is one of `metatrain list optimizers` or `metatrain list tasks`.\n\n"
                          "Examples:\n"
                          "  metatrain show runs/quickstart/theta.h5\n"
                          "  metatrain show runs/quickstart/checkpoints/step-000000000200 --json\n"
                          "  metatrain show optimizer small-fc --set hidden_size=32\n"
                          "  metatrain show task image_mlp --set hidden=[128,128]\n";

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "print one JSON object", 0},
    {"set", 's', "KEY=VALUE", 0, "optimizer, task: with this setting (repeatable)", 0},
    {0}};

static int is_named(const char *word) {
    return strcmp(word, "optimizer") == 0 || strcmp(word, "task") == 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    show_options *o = state->input;
    switch (key) {
    case 'j':
        o->json = 1;
        return 0;
    case 's':
        return mt_take_set(state, arg, &o->sets);
    case ARGP_KEY_ARG:
        if (o->n_what == 2 || (o->n_what == 1 && !is_named(o->what[0])))
            return argp_error(state, "one FILE expected, found \"%s\" after \"%s\"", arg, o->what[o->n_what - 1]),
                   EINVAL;
        o->what[o->n_what++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->n_what == 0) return argp_error(state, "FILE is missing"), EINVAL;
        if (o->n_what == 1 && is_named(o->what[0]) && access(o->what[0], F_OK) != 0)
            return argp_error(state, "the NAME of the %s is missing", o->what[0]), EINVAL;
        if (o->n_what == 1 && o->sets.n > 0)
            return argp_error(state, "--set is for `show optimizer NAME` and `show task NAME`"), EINVAL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What is shown. A checkpoint is read into the form of a theta file; `run` is its run.h5. */
typedef struct subject {
    char path[PATH_BYTES];
    mt_theta_file *theta;
    mt_hdf5 *run; /* NULL for a theta file */
} subject;

static int add_note(mt_theta_file *t, const char *name, const char *value, lopt_error *err) {
    char *n = strdup(name), *v = strdup(value);
    if (!n || !v) {
        free(n);
        free(v);
        return mt_error(err, LOPT_ENOMEM, "out of memory");
    }
    t->note_name[t->n_notes] = n;
    t->note_value[t->n_notes++] = v;
    return 1;
}

/* The optimizer of a checkpoint, with its theta, from the configuration saved with it. */
static int read_shown_optimizer(const subject *s, const char *config, mt_theta_file *t, lopt_error *err) {
    mt_config *cfg = mt_config_parse(config, s->path, NULL, 0, err);
    if (!cfg) return 0;
    t->optimizer = mt_optimizer_create(&cfg->optimizer, s->path, err);
    mt_config_free(cfg);
    if (!t->optimizer) return 0;
    size_t n = lopt_n_theta(t->optimizer);
    float *theta = malloc((n + 1) * sizeof *theta);
    int ok = theta ? mt_hdf5_read(s->run, "theta", MT_FLOATS, n, theta, err)
                   : mt_error(err, LOPT_ENOMEM, "%s: out of memory", s->path);
    if (ok) lopt_set_theta(t->optimizer, theta);
    free(theta);
    return ok;
}

static int read_run(subject *s, lopt_error *err) {
    if (!(s->run = mt_hdf5_open(s->path, err)) || !mt_hdf5_check_seal(s->run, err)) return 0;
    char *config = mt_hdf5_read_text(s->run, "config", err);
    if (!config) return 0;
    s->theta = calloc(1, sizeof *s->theta);
    int ok = s->theta ? read_shown_optimizer(s, config, s->theta, err) && add_note(s->theta, "config", config, err)
                      : mt_error(err, LOPT_ENOMEM, "%s: out of memory", s->path);
    free(config);
    return ok;
}

/* A folder stands for its run.h5 (a checkpoint, verified) or its theta.h5 (a run). */
static int resolve_path(const char *file, subject *s, int *is_run, lopt_error *err) {
    struct stat info;
    if (strlen(file) > PATH_BYTES - 64) return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", file);
    snprintf(s->path, sizeof s->path, "%s", file);
    size_t n = strlen(file);
    *is_run = n >= 6 && strcmp(file + n - 6, "run.h5") == 0;
    if (stat(file, &info) != 0 || !S_ISDIR(info.st_mode)) return 1;
    snprintf(s->path, sizeof s->path, "%s/manifest.json", file);
    *is_run = access(s->path, F_OK) == 0;
    if (*is_run && !mt_checkpoint_verify(file, err)) return 0;
    snprintf(s->path, sizeof s->path, "%s/%s", file, *is_run ? "run.h5" : "theta.h5");
    if (!*is_run && access(s->path, F_OK) != 0)
        return mt_error(err, LOPT_EARG, "%s: holds neither a theta.h5 nor a manifest.json of a checkpoint", file);
    return 1;
}

static int read_subject(const char *file, subject *s, lopt_error *err) {
    int is_run;
    if (!resolve_path(file, s, &is_run, err)) return 0;
    if (is_run) return read_run(s, err);
    s->theta = mt_theta_file_read(s->path, err);
    return s->theta != NULL;
}

/* ---- what is said of a block ----------------------------------------------------------------- */

typedef struct block_summary {
    double mean, std, max_abs;
} block_summary;

static block_summary summarise_file(const lopt_block *b, const float *theta) {
    double sum = 0, squares = 0, max = 0, n = (double)b->size;
    for (size_t i = 0; i < b->size; i++) {
        double x = (double)theta[b->offset + i];
        sum += x;
        max = fmax(max, fabs(x));
    }
    for (size_t i = 0; i < b->size; i++) {
        double x = (double)theta[b->offset + i] - sum / n;
        squares += x * x;
    }
    return (block_summary){sum / n, sqrt(squares / n), max};
}

/* ---- as text --------------------------------------------------------------------------------- */

static void print_settings(const lopt_optimizer *opt) {
    static const mt_column columns[] = {{"hyperparameter", 'l'}, {"value", 'l'}};
    mt_text_table *table = mt_text_table_create(columns, 2);
    lopt_hyper_info hyper;
    for (size_t i = 0; table && lopt_hyper(lopt_info(opt)->name, i, &hyper); i++) {
        char value[TEXT_BYTES];
        lopt_get(opt, hyper.name, value, sizeof value);
        mt_text_table_row(table, (const char *[]){hyper.name, value});
    }
    if (table) mt_text_table_print(table, stdout);
    mt_text_table_free(table);
}

static void print_blocks(const lopt_optimizer *opt) {
    static const mt_column columns[] = {{"block", 'l'}, {"shape", 'l'}, {"mean", 'r'}, {"std", 'r'}, {"max abs", 'r'}};
    mt_text_table *table = mt_text_table_create(columns, 5);
    for (size_t i = 0; table && i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        block_summary x = summarise_file(b, lopt_theta(opt));
        char shape[100], mean[32], std[32], max_abs[32];
        mt_shape_text(b->rank, b->dim, shape, sizeof shape);
        snprintf(mean, sizeof mean, "%.4g", x.mean);
        snprintf(std, sizeof std, "%.4g", x.std);
        snprintf(max_abs, sizeof max_abs, "%.4g", x.max_abs);
        mt_text_table_row(table, (const char *[]){b->name, shape, mean, std, max_abs});
    }
    if (table) mt_text_table_print(table, stdout);
    mt_text_table_free(table);
}

static void print_note(const char *name, const char *value) {
    printf("  %s:%s", name, strchr(value, '\n') ? "\n    " : " ");
    for (const char *c = value; *c; c++)
        if (*c != '\n')
            putchar(*c);
        else if (c[1])
            fputs("\n    ", stdout);
    putchar('\n');
}

static const char *item_type_name(mt_item_type type) {
    static const char *const names[] = {
        [MT_BYTES] = "uint8", [MT_FLOATS] = "float32", [MT_INTEGERS] = "int64", [MT_DOUBLES] = "float64"};
    return names[type];
}

static void print_items(const mt_hdf5 *run) {
    char name[MT_HDF5_NAME], shape_text[200];
    mt_hdf5_shape shape;
    printf("\nitems of run.h5\n");
    for (int64_t i = 0; mt_hdf5_name(run, "/", i, name); i++) {
        if (!mt_hdf5_shape_of(run, name, &shape, NULL)) continue;
        mt_shape_text(shape.rank, shape.dim, shape_text, sizeof shape_text);
        printf("  %-20s %-8s %s\n", name, item_type_name(shape.type), shape_text);
    }
}

static void print_text(const subject *s) {
    const lopt_optimizer *opt = s->theta->optimizer;
    const lopt_preset_info *info = lopt_info(opt);
    char digest[33];
    mt_theta_digest(opt, lopt_theta(opt), digest);
    printf("%s: %s, %zu numbers\n", s->path, s->run ? "checkpoint" : "theta file", lopt_n_theta(opt));
    printf("optimizer: %s (%s; %s)\ndigest: %s\n\n", info->name, info->summary, info->source, digest);
    print_settings(opt);
    putchar('\n');
    print_blocks(opt);
    if (s->run) print_items(s->run);
    printf("\nprovenance\n");
    for (int i = 0; i < s->theta->n_notes; i++) print_note(s->theta->note_name[i], s->theta->note_value[i]);
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static json_t *settings_json(const lopt_optimizer *opt) {
    json_t *settings = json_object();
    lopt_hyper_info hyper;
    for (size_t i = 0; lopt_hyper(lopt_info(opt)->name, i, &hyper); i++)
        json_object_set_new(settings, hyper.name, mt_setting_json(opt, hyper.name));
    return settings;
}

static json_t *blocks_json(const lopt_optimizer *opt) {
    json_t *blocks = json_array();
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        block_summary x = summarise_file(b, lopt_theta(opt));
        json_array_append_new(blocks, json_pack("{s:s, s:o, s:I, s:f, s:f, s:f}", "name", b->name, "shape",
                                                mt_shape_json(b->rank, b->dim), "offset", (json_int_t)b->offset, "mean",
                                                x.mean, "std", x.std, "max_abs", x.max_abs));
    }
    return blocks;
}

static json_t *items_json(const mt_hdf5 *run) {
    json_t *items = json_object();
    char name[MT_HDF5_NAME];
    mt_hdf5_shape shape;
    for (int64_t i = 0; mt_hdf5_name(run, "/", i, name); i++)
        if (mt_hdf5_shape_of(run, name, &shape, NULL))
            json_object_set_new(items, name,
                                json_pack("{s:s, s:o}", "type", item_type_name(shape.type), "shape",
                                          mt_shape_json(shape.rank, shape.dim)));
    return items;
}

static void print_file_json(const subject *s) {
    const lopt_optimizer *opt = s->theta->optimizer;
    char digest[33];
    mt_theta_digest(opt, lopt_theta(opt), digest);
    json_t *notes = json_object();
    for (int i = 0; i < s->theta->n_notes; i++)
        json_object_set_new(notes, s->theta->note_name[i], json_string(s->theta->note_value[i]));
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "file", s->path, "type", s->run ? "checkpoint" : "theta",
                  "optimizer", lopt_info(opt)->name, "digest", digest, "n_theta", (json_int_t)lopt_n_theta(opt),
                  "hyperparameters", settings_json(opt), "blocks", blocks_json(opt), "provenance", notes);
    if (s->run) json_object_set_new(all, "items", items_json(s->run));
    mt_json_print(all, stdout);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int show_file(const show_options *o, lopt_error *err) {
    subject s = {.theta = NULL};
    int ok = read_subject(o->what[0], &s, err);
    if (ok && o->json)
        print_file_json(&s);
    else if (ok)
        print_text(&s);
    mt_theta_file_free(s.theta);
    mt_hdf5_close(s.run);
    return ok;
}

int mt_command_show(int argc, char **argv) {
    static const struct argp parser = {options, parse, "FILE\noptimizer NAME\ntask NAME", doc, 0, 0, 0};
    show_options o = {.n_what = 0};
    lopt_error err = {LOPT_OK, ""};
    int ok, status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    if (o.n_what == 1)
        ok = show_file(&o, &err);
    else if (strcmp(o.what[0], "optimizer") == 0)
        ok = mt_show_optimizer(o.what[1], &o.sets, o.json, stdout, &err);
    else
        ok = mt_show_task(o.what[1], &o.sets, o.json, stdout, &err);
    return ok ? MT_DONE : mt_print_error(&err);
}
