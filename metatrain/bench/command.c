/* SPDX-License-Identifier: Apache-2.0
 *
 * command.c - `metatrain bench`: how fast this program is on this machine, as ratios to what the
 * machine can do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bench/bench.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "core/suggest.h"

/* ---- the parts ------------------------------------------------------------------------------- */

typedef struct part {
    const char *name, *title;
    json_t *(*measure)(const mt_bench *b, lopt_error *err);
    void (*print)(const json_t *rows, FILE *f);
} part;

static const part parts[] = {
    {"peak", "What one core of this machine does", mt_bench_peak, mt_bench_print_peak},
    {"step", "One step of an optimizer", mt_bench_step, mt_bench_print_step},
    {"inner", "Inner steps per second and core: 64-32-10 network, 8x8 Fashion-MNIST, batches of 64", mt_bench_inner,
     mt_bench_print_inner},
    {"tasks", "Loss and gradient of tasks", mt_bench_tasks, mt_bench_print_tasks},
    {"outer", "Outer steps per second", mt_bench_outer, mt_bench_print_outer},
    {"recipe", "The published meta-trainings, predicted", mt_bench_recipe, mt_bench_print_recipe},
};
enum { PEAK, FIRST_CHOICE, N_PARTS = sizeof parts / sizeof *parts }; /* peak is always measured */

/* ---- arguments ------------------------------------------------------------------------------- */

typedef struct bench_options {
    int asked[N_PARTS], any, json;
    char *names; /* of --optimizers, cut at its commas */
    mt_bench bench;
    lopt_error err; /* of an argument that is well-formed but names nothing */
} bench_options;

static const char doc[] =
    "Measure the speed of PARTs (step, inner, tasks, outer, recipe; default: all).\v"
    "  step    nanoseconds per parameter of one optimizer step, by size of the tensors\n"
    "  inner   inner steps per second and core, and what they are made of\n"
    "  tasks   loss and gradient of tasks of every architecture, as a share of what the core can do\n"
    "  outer   outer steps per second on 1, 2, 4, ... ranks, idle share, memory\n"
    "  recipe  predicted hours of the published meta-trainings on all cores\n\n"
    "Every run measures what one core can do and gives the rest as ratios to it. Numbers are "
    "medians over rounds in which everything that is compared ran in turn; \"range\" is the least "
    "and the most. docs/performance.md explains every column. All parts take about half an hour, "
    "with --quick about two minutes.\n\n"
    "Examples:\n"
    "  metatrain bench step --optimizers adam,small-fc,celo2\n"
    "  metatrain bench recipe --optimizers celo2 --seconds 300\n"
    "  metatrain bench --json > docs/bench/my-machine.json\n";

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "print JSON", 0},
    {"optimizers", 'o', "A,B", 0, "only these presets, or recipes (`metatrain list optimizers`)", 0},
    {"quick", 'q', 0, 0, "short rounds, no large tensors, short runs", 0},
    {"seconds", 's', "SECONDS", 0, "of each run of the program (outer, recipe)", 0},
    {0}};

static int find_part(const char *name, bench_options *o) {
    char text[64];
    lopt__suggestion s = lopt__suggestion_for(name);
    for (int i = FIRST_CHOICE; i < N_PARTS; i++) {
        if (strcmp(parts[i].name, name) == 0) return o->asked[i] = o->any = 1;
        lopt__suggest_name(&s, parts[i].name);
    }
    return mt_error(&o->err, LOPT_EUNKNOWN, "bench: found \"%.100s\", expected step, inner, tasks, outer or recipe%s",
                    name, lopt__suggestion_text(&s, text, sizeof text));
}

static int known_preset(const char *name, lopt_error *err) {
    char text[64];
    lopt__suggestion s = lopt__suggestion_for(name);
    for (size_t i = 0; i < lopt_n_presets(); i++) {
        if (strcmp(lopt_preset(i)->name, name) == 0) return 1;
        lopt__suggest_name(&s, lopt_preset(i)->name);
    }
    return mt_error(err, LOPT_EUNKNOWN,
                    "bench: --optimizers: found \"%.100s\", expected a name of `metatrain list "
                    "optimizers`%s",
                    name, lopt__suggestion_text(&s, text, sizeof text));
}

static int cut_names(const char *list, bench_options *o) {
    mt_bench *b = &o->bench;
    free(o->names);
    o->names = strdup(list);
    b->n_names = 0;
    if (!o->names) return mt_error(&o->err, LOPT_ENOMEM, "out of memory");
    char *rest = o->names;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (b->n_names == MT_BENCH_MAX_NAMES)
            return mt_error(&o->err, LOPT_EARG, "bench: --optimizers: more than %d names", MT_BENCH_MAX_NAMES);
        if (!known_preset(name, &o->err)) return 0;
        b->names[b->n_names++] = name;
    }
    return 1;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    bench_options *o = state->input;
    char *end;
    switch (key) {
    case 'j':
        o->json = 1;
        return 0;
    case 'q':
        o->bench.quick = 1;
        return 0;
    case 'o':
        if (!o->err.status) cut_names(arg, o);
        return 0;
    case 's':
        o->bench.seconds = strtod(arg, &end);
        if (*end || !(o->bench.seconds > 0 && o->bench.seconds < 1e6))
            return argp_error(state, "--seconds: found \"%s\", expected a number above 0", arg), EINVAL;
        return 0;
    case ARGP_KEY_ARG:
        if (!o->err.status) find_part(arg, o);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

static void print_machine(const json_t *m) {
    printf("%s, %d cores, kernels %s\n%s, metatrain %s, %s\n", json_string_value(json_object_get(m, "cpu")),
           (int)json_integer_value(json_object_get(m, "cores")), json_string_value(json_object_get(m, "kernels")),
           json_string_value(json_object_get(m, "compiler")), json_string_value(json_object_get(m, "version")),
           json_string_value(json_object_get(m, "date")));
}

/* Measures a part and prints it; 0 and a sentence. */
static int run_part(const part *p, const bench_options *o, json_t *all, lopt_error *err) {
    json_t *rows = p->measure(&o->bench, err);
    if (!rows) return 0;
    if (!o->json) {
        printf("\n%s\n", p->title);
        p->print(rows, stdout);
        fflush(stdout);
    }
    json_object_set_new(all, p->name, rows);
    return 1;
}

static int run_bench(const bench_options *o) {
    lopt_error err = {LOPT_OK, ""};
    json_t *machine = mt_bench_machine();
    json_t *all = json_pack("{s:o, s:b}", "machine", machine, "quick", o->bench.quick);
    if (!all) return mt_error(&err, LOPT_ENOMEM, "out of memory"), mt_print_error(&err);
    if (!o->json) print_machine(machine);
    int ok = 1;
    for (int i = 0; ok && i < N_PARTS; i++)
        if (i == PEAK || o->asked[i] || !o->any) ok = run_part(&parts[i], o, all, &err);
    if (ok && o->json && json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0) putchar('\n');
    json_decref(all);
    return ok ? MT_DONE : mt_print_error(&err);
}

int mt_command_bench(int argc, char **argv) {
    static const struct argp parser = {options, parse, "[PART...]", doc, 0, 0, 0};
    bench_options o = {0};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    o.bench.timing = mt_timing_usual(o.bench.quick);
    if (status < 0) status = o.err.status ? mt_print_error(&o.err) : run_bench(&o);
    free(o.names);
    return status;
}
