/* SPDX-License-Identifier: Apache-2.0
 *
 * train_run.c - see train_run.h. */
#include "bench/train_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/install_path.h"
#include "run/metrics.h"

#define LAUNCH "scripts/launch"
#define FIFTHS 5
#define PROBE_STEPS 4
#define LEAST_STEPS 10
#define MAX_ARGUMENTS 24

int mt_bench_most_ranks(void) {
    char path[PATH_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return mt_find_installed(LAUNCH, path, sizeof path) && cores > 0 ? (int)cores : 1;
}

/* ---- a folder that goes away ----------------------------------------------------------------- */

static int make_temporary_folder(char *folder, size_t bytes, lopt_error *err) {
    const char *parent = getenv("TMPDIR");
    int n = snprintf(folder, bytes, "%s/metatrain-bench-XXXXXX", parent && *parent ? parent : "/tmp");
    if (n > 0 && (size_t)n < bytes && mkdtemp(folder)) return 1;
    return mt_error(err, LOPT_EIO, "%s: cannot make this folder: %s", folder, strerror(errno));
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at) {
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_folder(const char *folder) {
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the run --------------------------------------------------------------------------------- */

/* The last line of a file, for a sentence. */
static void last_line(const char *path, char *line, size_t bytes) {
    char next[256];
    FILE *f = fopen(path, "r");
    line[0] = 0;
    while (f && fgets(next, sizeof next, f)) snprintf(line, bytes, "%.*s", (int)strcspn(next, "\n"), next);
    if (f) fclose(f);
}

/* In the child: output goes to `log`; does not return. */
static void become_program(char *const *argv, const char *program, const char *log) {
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("/dev/null", O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    setenv("METATRAIN", program, 1);
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    execvp(argv[0], argv);
    _exit(127);
}

/* Waits for the command; its exit status, or -1. Usage is that of all its processes. */
static int run_launch(char *const *argv, const char *program, const char *log, struct rusage *usage) {
    int status;
    malloc_trim(0); /* what a process held before it became another counts in its usage */
    pid_t child = fork();
    if (child == 0) become_program(argv, program, log);
    while (child > 0 && wait4(child, &status, 0, usage) < 0)
        if (errno != EINTR) return -1;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* So many outer steps into FOLDER/run. */
static int run_training(const mt_bench_run *run, int64_t steps, const char *folder, struct rusage *usage,
                        lopt_error *err) {
    char config[PATH_MAX], launch[PATH_MAX], program[PATH_MAX], log[PATH_MAX], out[PATH_MAX];
    char ranks[16], outer_steps[48], line[256];
    char *argv[MAX_ARGUMENTS];
    int n = 0;
    if (!mt_find_installed(run->config, config, sizeof config) || !mt_program_path(program, sizeof program))
        return mt_error(err, LOPT_EIO, "%s is not found beside the program", run->config);
    if (run->ranks > 1 && !mt_find_installed(LAUNCH, launch, sizeof launch))
        return mt_error(err, LOPT_EIO, LAUNCH " is not found beside the program");
    snprintf(ranks, sizeof ranks, "%d", run->ranks);
    snprintf(outer_steps, sizeof outer_steps, "outer.steps=%lld", (long long)steps);
    snprintf(out, sizeof out, "%.4000s/run", folder);
    snprintf(log, sizeof log, "%.4000s/log", folder);
    if (run->ranks > 1)
        argv[n++] = launch, argv[n++] = "-n", argv[n++] = ranks;
    else
        argv[n++] = program;
    argv[n++] = "train", argv[n++] = config, argv[n++] = "--out", argv[n++] = out;
    argv[n++] = "--set", argv[n++] = outer_steps;
    for (int i = 0; i < MT_BENCH_MAX_SETS && run->set[i]; i++)
        argv[n++] = "--set", argv[n++] = (char *)(uintptr_t)run->set[i];
    argv[n] = NULL;
    int status = run_launch(argv, program, log, usage);
    if (status == MT_DONE) return 1;
    last_line(log, line, sizeof line);
    return mt_error(err, LOPT_EIO, "a run of %s failed with status %d: %s", run->config, status, line);
}

/* ---- its history ----------------------------------------------------------------------------- */

typedef struct history {
    mt_metrics_row *rows;
    size_t n;
    struct rusage usage; /* of all processes */
} history;

static int time_steps(const mt_bench_run *run, int64_t steps, history *h, lopt_error *err) {
    char folder[PATH_MAX], path[PATH_MAX + 32];
    if (!make_temporary_folder(folder, sizeof folder, err)) return 0;
    int ok = run_training(run, steps, folder, &h->usage, err);
    snprintf(path, sizeof path, "%s/run/metrics.jsonl", folder);
    if (ok) h->rows = mt_metrics_read(path, &h->n, err);
    remove_folder(folder);
    if (h->rows && (int64_t)h->n != steps)
        ok = mt_error(err, LOPT_EIO, "%s: %zu outer steps in the history, expected %lld", path, h->n, (long long)steps);
    return ok && h->rows;
}

/* Wall seconds of outer steps from..to-1, with what lies between them; from >= 1. */
static double seconds_between(const history *h, size_t from, size_t to) {
    return h->rows[to - 1].seconds - h->rows[from - 1].seconds;
}

/* CPU seconds inside windows, of all ranks, in outer steps from..to-1. */
static double core_seconds(const history *h, size_t from, size_t to, int ranks) {
    double sum = 0;
    for (size_t i = from; i < to; i++) {
        const mt_metrics_row *r = &h->rows[i];
        int64_t inner_steps = r->inner_steps - (i ? r[-1].inner_steps : 0);
        sum += (1 - r->idle_share) * ranks * (double)inner_steps / r->inner_steps_per_second;
    }
    return sum;
}

/* CPU seconds of all processes outside windows, starting up included. */
static double outside_seconds(const history *h, int ranks) {
    const struct timeval *user = &h->usage.ru_utime, *kernel = &h->usage.ru_stime;
    return (double)(user->tv_sec + kernel->tv_sec) + 1e-6 * (double)(user->tv_usec + kernel->tv_usec) -
           core_seconds(h, 0, h->n, ranks);
}

static void summarise_speed(const history *probe, const history *h, int ranks, mt_bench_speed *speed) {
    size_t n = h->n, from = n / 10;
    double fifth[FIFTHS], steps = (double)(n - from), seconds = seconds_between(h, from, n);
    for (size_t i = 0; i < FIFTHS; i++) {
        size_t begin = from + i * (n - from) / FIFTHS, end = from + (i + 1) * (n - from) / FIFTHS;
        fifth[i] = seconds_between(h, begin, end) / (double)(end - begin);
    }
    double inside = core_seconds(h, from, n, ranks) / steps;
    double outside = (outside_seconds(h, ranks) - outside_seconds(probe, ranks)) / (double)(n - probe->n);
    *speed = (mt_bench_speed){.outer_steps = (int64_t)n,
                              .seconds = seconds,
                              .step_seconds = mt_spread_of(fifth, FIFTHS),
                              .mean_step_seconds = seconds / steps,
                              .core_seconds = inside,
                              .inner_steps_per_second =
                                  (double)(h->rows[n - 1].inner_steps - h->rows[from - 1].inner_steps) / seconds,
                              .idle_share = 1 - inside * steps / (ranks * seconds),
                              .outside_share = outside / (inside + outside),
                              .peak_bytes = 1024.0 * (double)h->usage.ru_maxrss};
}

int mt_bench_run_once(const mt_bench_run *run, mt_bench_speed *speed, lopt_error *err) {
    history probe = {0}, h = {0};
    int ok = time_steps(run, PROBE_STEPS, &probe, err);
    if (ok) {
        double fit = run->seconds * (PROBE_STEPS - 1) / seconds_between(&probe, 1, PROBE_STEPS);
        ok = time_steps(run, fit > LEAST_STEPS ? (int64_t)fit : LEAST_STEPS, &h, err);
    }
    if (ok) summarise_speed(&probe, &h, run->ranks, speed);
    free(probe.rows);
    free(h.rows);
    return ok;
}
