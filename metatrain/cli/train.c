/* SPDX-License-Identifier: Apache-2.0
 *
 * train.c - `metatrain train`: meta-trains the optimizer of a configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/stop_request.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "run/handshake.h"
#include "run/run.h"
#include "run/run_dir.h"
#include "run/status_file.h"
#include "store/checkpoint.h"

/* ---- arguments ----------------------------------------------------------------------------- */

typedef struct train_options {
    const char *config, *out;
    mt_sets sets;
    int resume;
    double time_limit;
} train_options;

static const char doc[] = "Meta-train the learned optimizer that CONFIG describes.\v"
                          "DIR (default runs/NAME) receives theta.h5 (always the latest theta), best.h5 (the best one, "
                          "with evaluate.every), metrics.jsonl, the same for TensorBoard (events.out.tfevents.*), "
                          "curve.svg, config.yaml, "
                          "status.json and checkpoints/. Under mpirun every rank works; theta is bitwise the same for "
                          "any number of "
                          "ranks and after any number of kills and resumes.\n\n"
                          "SIGTERM, SIGINT, SIGUSR1 and --time-limit save and leave with status 75; go on with "
                          "--resume.\n\n"
                          "Examples:\n"
                          "  metatrain train configs/quickstart.yaml --out runs/first\n"
                          "  scripts/launch -n 8 train configs/fashion-small-fc.yaml --set particles=64\n"
                          "  metatrain train --resume --out runs/first --set outer.steps=5000\n";

static const struct argp_option options[] = {
    {"out", 'o', "DIR", 0, "folder of the run", 0},
    {"resume", 'r', 0, 0,
     "go on from the newest checkpoint in DIR, or start if there is none; CONFIG may be left "
     "out",
     0},
    {"set", 's', "KEY=VALUE", 0, "override a key of CONFIG (repeatable)", 0},
    {"time-limit", 't', "SECONDS", 0, "save and leave after so long", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
    train_options *o = state->input;
    char *end;
    switch (key) {
    case 'o':
        o->out = arg;
        return 0;
    case 'r':
        o->resume = 1;
        return 0;
    case 's':
        return mt_take_set(state, arg, &o->sets);
    case 't':
        o->time_limit = strtod(arg, &end);
        if (*end || !(o->time_limit > 0))
            return argp_error(state, "--time-limit: found \"%s\", expected a number of seconds above 0", arg), EINVAL;
        return 0;
    case ARGP_KEY_ARG:
        return mt_take_only(state, "CONFIG", arg, &o->config);
    case ARGP_KEY_END:
        if (!o->config && !(o->resume && o->out))
            return argp_error(state, "a CONFIG is missing (or --resume with --out DIR)"), EINVAL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the folder of the run ----------------------------------------------------------------- */

/* runs/NAME for a configuration NAME.yaml. */
static void default_dir(const char *config, char *dir, size_t bytes) {
    const char *name = strrchr(config, '/') ? strrchr(config, '/') + 1 : config;
    const char *dot = strrchr(name, '.');
    snprintf(dir, bytes, "runs/%.*s", (int)(dot ? dot - name : (long)strlen(name)), name);
}

static int write_run_config(const mt_session *s, lopt_error *err) {
    char path[MT_PATH + 16], *text = mt_config_text(s->cfg);
    snprintf(path, sizeof path, "%s/config.yaml", s->dir);
    int ok = text ? mt_write_atomically(path, text, strlen(text), err) : mt_error(err, LOPT_ENOMEM, "out of memory");
    free(text);
    return ok;
}

/* ---- resuming ------------------------------------------------------------------------------ */

/* The first line in which two texts differ, from the second. */
static void first_difference(const char *a, const char *b, char *line, size_t bytes) {
    const char *start = b;
    for (; *a && *a == *b; a++, b++)
        if (*b == '\n') start = b + 1;
    snprintf(line, bytes, "%.*s", (int)strcspn(start, "\n"), start);
}

/* A resumed run may be longer, save more often, or find its files elsewhere; anything else would be
 * another run. */
static int same_run(const mt_config *saved, const mt_config *wanted, const char *dir, lopt_error *err) {
    mt_config comparable = *saved;
    comparable.outer.steps = wanted->outer.steps;
    comparable.checkpoint.every = wanted->checkpoint.every;
    comparable.checkpoint.keep = wanted->checkpoint.keep;
    comparable.faults = wanted->faults;
    comparable.outer.share_from = wanted->outer.share_from; /* says who computes, not what */
    snprintf(comparable.init, sizeof comparable.init, "%s", wanted->init);
    snprintf(comparable.data_path, sizeof comparable.data_path, "%s", wanted->data_path);
    char *a = mt_config_text(&comparable), *b = mt_config_text(wanted), line[160];
    int same = a && b && strcmp(a, b) == 0;
    if (!same) {
        first_difference(b ? b : "", a ? a : "", line, sizeof line);
        mt_error(err, LOPT_EARG,
                 "%s: cannot resume with another configuration: the saved run has \"%s\"; only "
                 "outer.steps, outer.share_from, checkpoint.*, faults.*, optimizer.init and "
                 "data.path may differ",
                 dir, line + strspn(line, " -"));
    }
    free(a);
    free(b);
    return same;
}

/* The configuration of the newest checkpoint in DIR, checked against CONFIG if one was given.
 * *step stays -1 when there is no point. */
static int prepare_resume(mt_session *s, const train_options *o, int64_t *step, lopt_error *err) {
    if (!mt_checkpoint_find(s->dir, step, mt_print_warning, err)) return 0;
    if (*step < 0) {
        if (!s->cfg)
            return mt_error(err, LOPT_EARG, "%s: no checkpoint to resume from, and no CONFIG to start with", s->dir);
        fprintf(stderr, "metatrain: no checkpoint in %s: starting at outer step 0\n", s->dir);
        return 1;
    }
    char *text = mt_checkpoint_read_text(s->dir, *step, "config", err);
    if (!text) return 0;
    int with_sets = s->cfg == NULL;
    mt_config *saved = mt_config_parse(text, "the saved configuration", NULL, 0, err);
    if (saved && with_sets) s->cfg = mt_config_parse(text, "the saved configuration", o->sets.text, o->sets.n, err);
    free(text);
    int ok = saved && s->cfg && same_run(saved, s->cfg, s->dir, err);
    if (ok && s->cfg->outer.steps < *step)
        ok = mt_error(err, LOPT_EARG, "%s: outer.steps: found %lld, expected at least %lld, the step to resume from",
                      s->dir, (long long)s->cfg->outer.steps, (long long)*step);
    if (ok) fprintf(stderr, "metatrain: resuming %s at outer step %lld\n", s->dir, (long long)*step);
    mt_config_free(saved);
    return ok;
}

/* ---- the command --------------------------------------------------------------------------- */

/* The configuration, if one was given, and the name of the run's folder. */
static int prepare_run(mt_session *s, const train_options *o, lopt_error *err) {
    if (o->config && !(s->cfg = mt_config_load(o->config, o->sets.text, o->sets.n, err))) return 0;
    if (o->out && strlen(o->out) >= sizeof s->dir - 64) return mt_error(err, LOPT_EARG, "--out: the path is too long");
    if (o->out)
        snprintf(s->dir, sizeof s->dir, "%s", o->out);
    else if (o->config)
        default_dir(o->config, s->dir, sizeof s->dir);
    for (size_t n = strlen(s->dir); n > 1 && s->dir[n - 1] == '/'; n--) s->dir[n - 1] = 0;
    return 1;
}

/* Rank 0: apart from the lock nothing on disk changes before every rank is ready. */
static int coordinate_run(mt_session *s, const train_options *o) {
    lopt_error err = {LOPT_OK, ""};
    int64_t resume_step = -1;
    mt_run *run = calloc(1, sizeof *run);
    int lock = -1, ok = run ? prepare_run(s, o, &err) : mt_error(&err, LOPT_ENOMEM, "out of memory for a run");
    if (ok && o->resume && access(s->dir, F_OK) == 0) ok = (lock = mt_run_dir_claim(s->dir, 1, &err)) >= 0;
    if (ok && o->resume) ok = prepare_resume(s, o, &resume_step, &err);
    ok = ok && mt_start_run(run, s, resume_step, &err);
    if (ok && resume_step < 0) {
        mt_run_dir_release(lock);
        ok = (lock = mt_run_dir_claim(s->dir, 0, &err)) >= 0;
    }
    ok = ok && write_run_config(s, &err);
    int status = ok ? mt_finish_run(run, resume_step) : mt_print_error(&err);
    mt_run_dir_release(lock);
    mt_dismiss_workers(s, status);
    if (run) mt_close_run(run);
    free(run);
    return status;
}

/* mpirun hides statuses: scripts/launch learns from this file how rank 0 fared. */
static void write_outcome(const mt_session *s, int status) {
    const char *path = getenv("METATRAIN_OUTCOME");
    FILE *f = path && s->transport->rank == 0 ? fopen(path, "w") : NULL;
    if (!f) return;
    fprintf(f, "%d %s\n", status, s->dir);
    fclose(f);
}

int mt_command_train(int argc, char **argv) {
    static const struct argp parser = {options, parse, "CONFIG", doc, 0, 0, 0};
    train_options o = {0};
    mt_session s;
    lopt_error err;
    mt_transport *transport = mt_open_mpi();
    if (!transport) return MT_FAILED;
    int status = mt_parse_arguments(&parser, argc, argv, transport->rank, &o);
    if (status >= 0) {
        mt_close_transport(transport, 0, status);
        return status;
    }
    if (!mt_session_open(&s, transport, &err)) return mt_print_error(&err);
    mt_stop_watch(o.time_limit);
    status = transport->rank == 0 ? coordinate_run(&s, &o) : mt_run_worker(&s);
    write_outcome(&s, status);
    mt_session_close(&s, status);
    return status;
}
