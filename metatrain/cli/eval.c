/* SPDX-License-Identifier: Apache-2.0
 *
 * eval.c - `metatrain eval`: trains the tasks of a suite with learned and tuned hand-designed optimizers on
 * fresh seeds, and says which does best. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_lock.h"
#include "base/install_path.h"
#include "base/stop_request.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "eval/evaluation.h"
#include "eval/scores.h"
#include "ranks/transport.h"

#define MAX_THETAS 16
#define TAG_READY 311
#define TAG_GO 312
#define DEFAULT_SUITE "configs/eval/quickstart.yaml"

/* ---- arguments ----------------------------------------------------------------------------------- */

typedef struct eval_options {
    const char *suite, *out;
    mt_sets sets;
    const char *theta[MAX_THETAS];
    int n_thetas, no_untrained;
    char command[1024];
} eval_options;

static const char doc[] =
    "Compare learned optimizers (theta files THETA...) with tuned hand-designed ones on fresh seeds.\v"
    "Prints one table for each task of the suite, best optimizer first, and a summary over all tasks. DIR receives "
    "results.h5 (every training, so that none is run twice), results.json (all numbers and curves; the same bytes for "
    "any number of ranks), timing.json and curves.svg.\n\n"
    "An evaluation that was stopped or killed goes on where it was when the same command is given again; one whose "
    "suite has grown computes what is new.\n\n"
    "Without --suite: quickstart.yaml of the suites that come with the program. Every THETA is also run with the "
    "weights "
    "it had before meta-training.\n\n"
    "Examples:\n"
    "  metatrain eval runs/quickstart/theta.h5\n"
    "  metatrain eval --suite configs/eval/quickstart.yaml a/theta.h5 b/theta.h5 --out runs/compare\n"
    "  scripts/launch -n 8 eval runs/quickstart/theta.h5 --set seeds=20 --set steps=1000\n";

static const struct argp_option options[] = {
    {"suite", 'S', "SUITE.yaml", 0, "tasks, baselines and how long to train", 0},
    {"out", 'o', "DIR", 0, "folder for results.h5, results.json, timing.json and curves.svg", 0},
    {"set", 's', "KEY=VALUE", 0, "override a key of the suite (repeatable)", 0},
    {"no-untrained", 'n', 0, 0, "leave out the optimizers as they were before meta-training", 0},
    {0}};

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is argp's */
static error_t parse(int key, char *arg, struct argp_state *state) {
    eval_options *o = state->input;
    switch (key) {
    case 'S':
        o->suite = arg;
        return 0;
    case 'o':
        o->out = arg;
        return 0;
    case 'n':
        o->no_untrained = 1;
        return 0;
    case 's':
        return mt_take_set(state, arg, &o->sets);
    case ARGP_KEY_ARG:
        if (o->n_thetas == MAX_THETAS) return argp_error(state, "more than %d THETA files", MAX_THETAS), EINVAL;
        o->theta[o->n_thetas++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the command --------------------------------------------------------------------------------- */

/* Everything that can be wrong before time is spent; the same on every rank. */
static mt_comparison *prepare_comparison(const eval_options *o, mt_suite **suite, lopt_error *err) {
    char standard[PATH_MAX];
    if (o->suite == NULL && !mt_find_installed(DEFAULT_SUITE, standard, sizeof standard)) {
        mt_error(err, LOPT_EARG, DEFAULT_SUITE " is not found beside the program; name a suite with --suite");
        return NULL;
    }
    *suite = mt_suite_load(o->suite != NULL ? o->suite : standard, o->sets.text, o->sets.n, err);
    if (*suite == NULL) return NULL;
    return mt_comparison_create(*suite, o->theta, o->n_thetas, !o->no_untrained, err);
}

static int make_out(const char *out, lopt_error *err) {
    if (out == NULL) return 1;
    if (strlen(out) >= MT_PATH) return mt_error(err, LOPT_EARG, "--out: the path is too long");
    if (!mt_make_folders(out, err)) return 0;
    if (access(out, W_OK | X_OK) == 0) return 1;
    return mt_error(err, LOPT_EARG, "%s: cannot write to this folder: %s", out, strerror(errno));
}

/* All ranks go on, or none: rank 0 hears from everyone, and complains once. Returns 1 to go on. */
static int agree_on_start(mt_transport *comm, int ok, lopt_error *err) {
    size_t n;
    if (ok) err->status = LOPT_OK;
    if (comm->rank != 0) {
        mt_send_message(comm, 0, TAG_READY, err, sizeof *err);
        int *go = mt_receive_message(comm, 0, TAG_GO, &n);
        ok = *go;
        free(go);
        return ok;
    }
    for (int rank = 1; rank < comm->size; rank++) {
        lopt_error *theirs = mt_receive_message(comm, rank, TAG_READY, &n);
        if (ok && theirs->status != LOPT_OK) {
            ok = 0;
            mt_error(err, theirs->status, "rank %d: %.480s", rank, theirs->text);
        }
        free(theirs);
    }
    for (int rank = 1; rank < comm->size; rank++) mt_send_message(comm, rank, TAG_GO, &ok, sizeof ok);
    return ok;
}

static void plot_curves(const mt_results *r, const char *out) {
    lopt_error err;
    char path[MT_PATH + 32];
    snprintf(path, sizeof path, "%s/curves.svg", out);
    if (!mt_plot_results(r, path, &err)) mt_print_warning(err.text);
}

static int publish_report(const mt_results *r, const char *out) {
    lopt_error err;
    mt_print_tables(r, stdout);
    putchar('\n');
    mt_print_scores(r, stdout);
    if (fflush(stdout) != 0) {
        mt_error(&err, LOPT_EIO, "the table could not be printed: %s", strerror(errno));
        return mt_print_error(&err);
    }
    if (out == NULL) return MT_DONE;
    if (!mt_results_write(r, out, &err)) {
        mt_print_error(&err);
        return MT_FAILED; /* the folder was fine at the start */
    }
    plot_curves(r, out);
    return MT_DONE;
}

static int coordinate_evaluation(const eval_options *o, mt_comparison *c, mt_cell_store *store, mt_transport *comm) {
    lopt_error err;
    mt_results *results = NULL;
    int status = mt_run_evaluation(c, comm, store, &results, &err);
    if (status == MT_FAILED) mt_print_error(&err);
    if (status == MT_DONE) {
        snprintf(results->command, sizeof results->command, "%s", o->command);
        status = publish_report(results, o->out);
    }
    mt_results_free(results);
    return status;
}

static int evaluate_suite(const eval_options *o, mt_transport *comm) {
    lopt_error err = {LOPT_OK, ""};
    mt_suite *suite = NULL;
    mt_cell_store *store = NULL;
    mt_comparison *c = prepare_comparison(o, &suite, &err);
    int ok = c != NULL;
    int lock = -1;
    if (ok && comm->rank == 0)
        ok = make_out(o->out, &err) && (!o->out || (lock = mt_lock_folder(o->out, &err)) >= 0) &&
             (store = mt_cell_store_open(o->out, &err));
    int status = MT_DONE;
    if (!agree_on_start(comm, ok, &err))
        status = comm->rank == 0 ? mt_print_error(&err) : MT_BAD_INPUT;
    else if (comm->rank == 0)
        status = coordinate_evaluation(o, c, store, comm);
    else
        mt_serve_evaluation(c, comm);
    mt_cell_store_close(store);
    mt_unlock_folder(lock);
    mt_comparison_free(c);
    mt_suite_free(suite);
    return status;
}

/* As it could be typed again; words with blanks or other signs in quotes. */
static void join_command(int argc, char **argv, char *text, size_t bytes) {
    size_t n = (size_t)snprintf(text, bytes, "%s", argv[0]);
    for (int i = 1; i < argc && n < bytes; i++) {
        int plain = argv[i][strcspn(argv[i], " \t\"'\\$`*?[]{}()<>|&;#~!")] == '\0' && argv[i][0];
        n += (size_t)snprintf(text + n, bytes - n, plain ? " %s" : " '%s'", argv[i]);
    }
}

int mt_command_eval(int argc, char **argv) {
    static const struct argp parser = {options, parse, "[THETA...]", doc, 0, 0, 0};
    eval_options o = {0};
    join_command(argc, argv, o.command, sizeof o.command);
    mt_transport *comm = mt_open_mpi();
    if (!comm) return MT_FAILED;
    int status = mt_parse_arguments(&parser, argc, argv, comm->rank, &o);
    mt_stop_watch(0);
    if (status < 0) status = evaluate_suite(&o, comm);
    mt_close_transport(comm, 0, status);
    return status;
}
