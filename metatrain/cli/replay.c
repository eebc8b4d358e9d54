/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c - `metatrain replay`: recorded gradients through our optimizer, update by update.
 *
 * Each case runs twice: with the recorded parameters of the step before, and with parameters of our
 * own. The error of a tensor at a step is max|u - ref| / max|ref|; where ref is all zero, u must be
 * too. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text_table.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "formats/recorded_run.h"
#include "store/theta_file.h"

/* ---- arguments ------------------------------------------------------------------------------- */

typedef struct replay_options {
    const char *file;
    double rtol; /* negative: the table's */
} replay_options;

static const char doc[] =
    "Replay a golden trajectory: feed the gradients recorded in GOLDEN.h5 to the optimizer it "
    "names and compare "
    "every update.\v"
    "Each case runs with the recorded parameters and with its own; both must stay within the "
    "tolerance. Without "
    "--rtol the tolerance is that of the optimizer and case. Status 0: all updates agree; 1: some "
    "do not; 2: the "
    "file cannot be replayed.\n\n"
    "Examples:\n"
    "  metatrain replay tests/golden/elo.h5\n"
    "  LOPT_KERNELS=reference metatrain replay tests/golden/adafaclo_default.h5 --rtol 1e-5\n";

static const struct argp_option options[] = {{"rtol", 'r', "X", 0, "largest relative error allowed, for all cases", 0},
                                             {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
    replay_options *o = state->input;
    char *end;
    switch (key) {
    case 'r':
        o->rtol = strtod(arg, &end);
        if (end == arg || *end || !(o->rtol >= 0) || isinf(o->rtol))
            return argp_error(state, "--rtol: found \"%s\", expected a number of 0 or more", arg), EINVAL;
        return 0;
    case ARGP_KEY_ARG:
        return mt_take_only(state, "GOLDEN.h5", arg, &o->file);
    case ARGP_KEY_END:
        if (!o->file) return argp_error(state, "GOLDEN.h5 is missing"), EINVAL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- errors of updates ----------------------------------------------------------------------- */

typedef enum replay_mode { RECORDED_PARAMS, OWN_PARAMS, N_MODES } replay_mode;

/* The largest error seen so far, and where. */
typedef struct worst {
    double error;
    int number; /* of the case */
    size_t tensor;
    int64_t step;
} worst;

static void take_worse(worst *w, worst other) {
    if (!(other.error <= w->error)) /* a NaN is worse than anything */
        *w = other;
}

static double relative_error(const float *u, const float *ref, int64_t n) {
    double difference = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)u[i] - ref[i]), r = fabs((double)ref[i]);
        difference = d <= difference ? difference : d; /* keeps a NaN */
        scale = r > scale ? r : scale;
        if (isnan(difference)) return INFINITY;
    }
    if (scale == 0) return difference == 0 ? 0 : INFINITY;
    return difference / scale;
}

/* ---- one case -------------------------------------------------------------------------------- */

static void compare_step(const mt_golden_case *c, int64_t t, const float *updates, int number, worst *tensors) {
    size_t offset = 0;
    for (size_t i = 0; i < c->n_tensors; i++) {
        int64_t size = lopt_tensor_size(&c->tensors[i]);
        double error = relative_error(updates + offset, c->updates + (size_t)t * c->n_params + offset, size);
        take_worse(&tensors[i], (worst){error, number, i, t});
        offset += (size_t)size;
    }
}

/* Fills tensors[n_tensors] with the worst step of each. */
static int replay_steps(const mt_golden *g, const mt_golden_case *c, int number, replay_mode mode, worst *tensors,
                        lopt_error *err) {
    size_t n = c->n_params;
    float *params = malloc(2 * n * sizeof *params);
    lopt_state *state = params ? lopt_state_create(g->optimizer, c->tensors, c->n_tensors, err) : NULL;
    if (!params) mt_error(err, LOPT_ENOMEM, "%s: out of memory", g->path);
    if (state) {
        float *updates = params + n;
        memcpy(params, c->start, n * sizeof *params);
        lopt_state_reset(g->optimizer, state, c->n_steps);
        for (int64_t t = 0; t < c->n_steps; t++) {
            if (mode == RECORDED_PARAMS && t > 0) memcpy(params, c->params + (size_t)(t - 1) * n, n * sizeof *params);
            lopt_step(g->optimizer, state, params, c->grads + (size_t)t * n, c->loss[t], updates);
            compare_step(c, t, updates, number, tensors);
        }
    }
    lopt_state_destroy(state);
    free(params);
    return state != NULL;
}

static void add_replay_row(mt_text_table *table, const lopt_tensor *t, const worst *given, const worst *own) {
    char shape[100], first[32], second[32];
    mt_shape_text(t->rank, t->dim, shape, sizeof shape);
    snprintf(first, sizeof first, "%.2e", given->error);
    snprintf(second, sizeof second, "%.2e", own->error);
    mt_text_table_row(table, (const char *[]){t->name, shape, first, second});
}

static void print_case(const mt_golden_case *c, int number, double tolerance, const worst *tensors) {
    static const mt_column columns[] = {{"tensor", 'l'}, {"shape", 'l'}, {"recorded params", 'r'}, {"own params", 'r'}};
    printf("\ncase %d: %zu tensors, %lld steps, tolerance %.1e\n", number, c->n_tensors, (long long)c->n_steps,
           tolerance);
    mt_text_table *table = mt_text_table_create(columns, 4);
    if (!table) return;
    for (size_t i = 0; i < c->n_tensors; i++)
        add_replay_row(table, &c->tensors[i], &tensors[i], &tensors[c->n_tensors + i]);
    mt_text_table_print(table, stdout);
    mt_text_table_free(table);
}

/* Replays case i in both modes; *w becomes its worst error. */
static int replay_case(const mt_golden *g, int i, double tolerance, worst *w, lopt_error *err) {
    mt_golden_case *c = mt_golden_case_read(g, i, err);
    if (!c) return 0;
    worst *tensors = calloc(N_MODES * c->n_tensors, sizeof *tensors);
    int ok = tensors ? 1 : mt_error(err, LOPT_ENOMEM, "%s: out of memory", g->path);
    for (int mode = 0; ok && mode < N_MODES; mode++)
        ok = replay_steps(g, c, g->number[i], (replay_mode)mode, tensors + (size_t)mode * c->n_tensors, err);
    if (ok) {
        print_case(c, g->number[i], tolerance, tensors);
        *w = (worst){0, g->number[i], 0, 0};
        for (size_t k = 0; k < N_MODES * c->n_tensors; k++) take_worse(w, tensors[k]);
    }
    free(tensors);
    mt_golden_case_free(c);
    return ok;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void print_header(const mt_golden *g) {
    printf("%s: %s as %s, %zu theta, kernels %s\n", g->path, g->recorded, lopt_info(g->optimizer)->name,
           lopt_n_theta(g->optimizer), lopt_kernels_name());
    if (g->unused[0]) printf("keys of its config that mean nothing here: %s\n", g->unused);
    printf("largest relative error of the update of each tensor:\n");
}

static void print_verdict(const worst *largest, double tolerance, const worst *failed, int n_failed) {
    printf("\noverall: largest relative error %.2e (case %d, tensor_%zu, step %lld), tolerance %.1e\n", largest->error,
           largest->number, largest->tensor, (long long)largest->step, tolerance);
    if (n_failed)
        printf("FAILED: %d case%s beyond the tolerance, first case %d: %.2e\n", n_failed, n_failed == 1 ? "" : "s",
               failed->number, failed->error);
    else
        printf("passed\n");
}

static int replay_file(const mt_golden *g, double rtol, lopt_error *err) {
    worst largest = {-1, 0, 0, 0}, failed = {0};
    double tolerance_of_largest = 0;
    int n_failed = 0;
    print_header(g);
    for (int i = 0; i < g->n_cases; i++) {
        worst w;
        double tolerance = rtol >= 0 ? rtol : g->tolerance[i];
        if (!replay_case(g, i, tolerance, &w, err)) return mt_print_error(err);
        if (!(w.error <= tolerance) && n_failed++ == 0) failed = w;
        if (w.error > largest.error) {
            largest = w;
            tolerance_of_largest = tolerance;
        }
    }
    print_verdict(&largest, tolerance_of_largest, &failed, n_failed);
    return n_failed ? MT_FAILED : MT_DONE;
}

int mt_command_replay(int argc, char **argv) {
    static const struct argp parser = {options, parse, "GOLDEN.h5", doc, 0, 0, 0};
    replay_options o = {.rtol = -1};
    lopt_error err = {LOPT_OK, ""};
    int status = mt_parse_arguments(&parser, argc, argv, 0, &o);
    if (status >= 0) return status;
    mt_golden *g = mt_golden_open(o.file, &err);
    if (!g) return mt_print_error(&err);
    status = replay_file(g, o.rtol, &err);
    mt_golden_close(g);
    return status;
}
