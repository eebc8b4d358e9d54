/* SPDX-License-Identifier: Apache-2.0
 *
 * train.c - `metatrain train`: meta-trains the optimizer of a configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "checkpoint.h"
#include "commands.h"
#include "durable.h"
#include "run.h"
#include "status_file.h"
#include "stop.h"

/* ---- arguments ----------------------------------------------------------------------------- */

#define MAX_SETS 64

typedef struct train_options {
    const char *config, *out;
    const char *set[MAX_SETS];
    int n_sets, resume;
    double time_limit;
} train_options;

static const char doc[] =
    "Meta-train the learned optimizer that CONFIG describes.\v"
    "DIR (default runs/NAME) receives theta.h5 (always the latest theta), metrics.jsonl, "
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
     "go on from the newest restart point in DIR, or start if there is none; CONFIG may be left "
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
        if (o->n_sets == MAX_SETS)
            return argp_error(state, "more than %d times --set", MAX_SETS), EINVAL;
        o->set[o->n_sets++] = arg;
        return 0;
    case 't':
        o->time_limit = strtod(arg, &end);
        if (*end || !(o->time_limit > 0))
            return argp_error(state,
                              "--time-limit: found \"%s\", expected a number of seconds above 0",
                              arg),
                   EINVAL;
        return 0;
    case ARGP_KEY_ARG:
        if (o->config)
            return argp_error(state, "one CONFIG expected, found \"%s\" after \"%s\"", arg,
                              o->config),
                   EINVAL;
        o->config = arg;
        return 0;
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

static int make_folder(const char *path, lopt_error *err) {
    if (!mt_make_folders(path, err))
        return 0;
    if (access(path, W_OK | X_OK))
        return mt_error(err, LOPT_EARG, "%s: cannot write to this folder: %s", path,
                        strerror(errno));
    return 1;
}

/* A fresh start must not mix with an earlier run: that one is moved aside, whole. */
static int move_earlier_run(const char *dir, lopt_error *err) {
    char path[MT_PATH + 32];
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    if (access(path, F_OK))
        return 1;
    for (int k = 1; k < 10000; k++) {
        snprintf(path, sizeof path, "%s.old-%d", dir, k);
        if (!access(path, F_OK))
            continue;
        if (rename(dir, path))
            return mt_error(err, LOPT_EARG, "%s: cannot move the earlier run to %s: %s", dir, path,
                            strerror(errno));
        fprintf(stderr, "metatrain: %s held an earlier run; it is now %s\n", dir, path);
        return 1;
    }
    return mt_error(err, LOPT_EARG, "%s: too many earlier runs beside it; remove some of %s.old-*",
                    dir, dir);
}

static int write_config(const mt_run *run, lopt_error *err) {
    char path[MT_PATH + 16], *text = mt_config_text(run->cfg);
    snprintf(path, sizeof path, "%s/config.yaml", run->dir);
    int ok = text ? mt_durable_write(path, text, strlen(text), err)
                  : mt_error(err, LOPT_ENOMEM, "out of memory");
    free(text);
    return ok;
}

/* ---- resuming ------------------------------------------------------------------------------ */

static void warn(const char *sentence) {
    fprintf(stderr, "metatrain: warning: %s\n", sentence);
}

/* The first line in which two texts differ, from the second. */
static void first_difference(const char *a, const char *b, char *line, size_t bytes) {
    const char *start = b;
    for (; *a && *a == *b; a++, b++)
        if (*b == '\n')
            start = b + 1;
    snprintf(line, bytes, "%.*s", (int)strcspn(start, "\n"), start);
}

/* A resumed run may be longer or save more often; anything else would be another run. */
static int same_run(const mt_config *saved, const mt_config *wanted, const char *dir,
                    lopt_error *err) {
    mt_config comparable = *saved;
    comparable.outer.steps = wanted->outer.steps;
    comparable.checkpoint.every = wanted->checkpoint.every;
    comparable.checkpoint.keep = wanted->checkpoint.keep;
    char *a = mt_config_text(&comparable), *b = mt_config_text(wanted), line[160];
    int same = a && b && strcmp(a, b) == 0;
    if (!same) {
        first_difference(b ? b : "", a ? a : "", line, sizeof line);
        mt_error(err, LOPT_EARG,
                 "%s: cannot resume with another configuration: the saved run has \"%s\"; only "
                 "outer.steps and checkpoint.* may differ",
                 dir, line + strspn(line, " -"));
    }
    free(a);
    free(b);
    return same;
}

/* The configuration of the newest restart point in DIR, checked against CONFIG if one was given.
 * *step stays -1 when there is no point. */
static int prepare_resume(mt_run *run, const train_options *o, int64_t *step, lopt_error *err) {
    if (!mt_checkpoint_find(run->dir, step, warn, err))
        return 0;
    if (*step < 0) {
        if (!run->cfg)
            return mt_error(err, LOPT_EARG,
                            "%s: no restart point to resume from, and no CONFIG to start with",
                            run->dir);
        fprintf(stderr, "metatrain: no restart point in %s: starting at outer step 0\n", run->dir);
        return 1;
    }
    char *text = mt_checkpoint_read_text(run->dir, *step, "config", err);
    if (!text)
        return 0;
    int with_sets = run->cfg == NULL;
    mt_config *saved = mt_config_parse(text, "the saved configuration", NULL, 0, err);
    if (saved && with_sets)
        run->cfg = mt_config_parse(text, "the saved configuration", o->set, o->n_sets, err);
    free(text);
    int ok = saved && run->cfg && same_run(saved, run->cfg, run->dir, err);
    if (ok)
        fprintf(stderr, "metatrain: resuming %s at outer step %lld\n", run->dir, (long long)*step);
    mt_config_free(saved);
    return ok;
}

/* ---- the command --------------------------------------------------------------------------- */

/* Everything that can be wrong before a rank is asked to do anything. */
static int prepare(mt_run *run, const train_options *o, int64_t *resume_step, lopt_error *err) {
    if (o->config && !(run->cfg = mt_config_load(o->config, o->set, o->n_sets, err)))
        return 0;
    if (o->out && strlen(o->out) >= sizeof run->dir - 64)
        return mt_error(err, LOPT_EARG, "--out: the path is too long");
    if (o->out)
        snprintf(run->dir, sizeof run->dir, "%s", o->out);
    else if (o->config)
        default_dir(o->config, run->dir, sizeof run->dir);
    for (size_t n = strlen(run->dir); n > 1 && run->dir[n - 1] == '/'; n--)
        run->dir[n - 1] = 0;
    return !o->resume || prepare_resume(run, o, resume_step, err);
}

/* The coordinator's part: nothing on disk changes before every rank is ready. */
static int coordinate(mt_run *run, const train_options *o) {
    lopt_error err = {LOPT_OK, ""};
    int64_t resume_step = -1;
    int status = MT_BAD_INPUT;
    if (!prepare(run, o, &resume_step, &err))
        status = mt_complain(&err);
    else {
        mt_send_setup(run, resume_step);
        int ok = mt_ranks_are_ready(run, mt_run_open(run, &err), &err);
        ok = ok && (resume_step >= 0 || move_earlier_run(run->dir, &err)) &&
             make_folder(run->dir, &err) && write_config(run, &err);
        status = ok ? mt_coordinate(run, resume_step, &err) : mt_complain(&err);
    }
    mt_dismiss(run, status);
    return status;
}

static int work(mt_run *run) {
    lopt_error err = {LOPT_OK, ""};
    int64_t resume_step = -1;
    int status = MT_FAILED;
    if (!mt_receive_setup(run, &resume_step, &status, &err))
        return status;
    int ok = run->cfg && mt_run_open(run, &err) &&
             (resume_step < 0 || mt_run_load_particles(run, resume_step, &err));
    if (ok)
        err.status = LOPT_OK;
    mt_comm_send(&run->comm, 0, MT_TAG_READY, &err, sizeof err);
    return mt_work(run);
}

int mt_command_train(int argc, char **argv) {
    static const struct argp parser = {options, parse, "CONFIG", doc, 0, 0, 0};
    train_options o = {0};
    mt_run run = {0};
    mt_comm_open(&run.comm);
    int status = mt_parse_arguments(&parser, argc, argv, run.comm.rank, &o);
    if (status < 0) {
        mt_stop_watch(o.time_limit);
        status = run.comm.rank == 0 ? coordinate(&run, &o) : work(&run);
    }
    mt_run_close(&run);
    mt_comm_close(&run.comm);
    return status;
}
