/* SPDX-License-Identifier: Apache-2.0
 *
 * test_out_of_memory.c - every allocation of an optimizer, a task or a run of metatrain fails once: an error with a
 * message comes back, nothing crashes and nothing leaks.
 *
 * The functions named failing_... stand in for the allocator in our own libraries, where cmake/tests.cmake has renamed
 * it. Others, such as HDF5, keep theirs. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lopt.h"
#include "task.h"

/* ---- an allocator that fails once ---------------------------------------------------------------- */

enum { MAX_BLOCKS = 1 << 16 };

static long until_failure = -1; /* allocations that still succeed; negative: all do */
static void *block[MAX_BLOCKS]; /* what is allocated: a hash table, NULL ends a chain */
static size_t n_blocks;

static size_t slot_of(const void *p) {
    size_t i = ((size_t)p >> 4) * 2654435761u % MAX_BLOCKS;
    while (block[i] && block[i] != p) i = (i + 1) % MAX_BLOCKS;
    return i;
}

static void *note_block(void *p) {
    if (!p) return p;
    cr_assert(++n_blocks < MAX_BLOCKS / 2);
    block[slot_of(p)] = p;
    return p;
}

static void forget_block(const void *p) {
    size_t i = slot_of(p);
    if (!p || !block[i]) return;
    n_blocks--;
    block[i] = NULL;
    for (i = (i + 1) % MAX_BLOCKS; block[i]; i = (i + 1) % MAX_BLOCKS) { /* the rest of the chain moves up */
        void *moved = block[i];
        block[i] = NULL;
        block[slot_of(moved)] = moved;
    }
}

/* A program that gives up leaves everything behind. */
static void free_blocks(void) {
    while (n_blocks > 0)
        for (size_t i = 0; i < MAX_BLOCKS; i++)
            while (block[i]) {
                void *p = block[i];
                forget_block(p);
                free(p);
            }
}

static int fails(void) {
    return until_failure >= 0 && until_failure-- == 0;
}

/* Defines a function that stands in for one of the C library. */
#define FAILING(type, name, parameters, otherwise)                                                                     \
    type failing_##name parameters;                                                                                    \
    type failing_##name parameters {                                                                                   \
        if (fails()) return NULL;                                                                                      \
        return otherwise;                                                                                              \
    }

FAILING(void *, malloc, (size_t n), note_block(malloc(n)))
FAILING(void *, calloc, (size_t n, size_t size), note_block(calloc(n, size)))
FAILING(void *, aligned_alloc, (size_t alignment, size_t n), note_block(aligned_alloc(alignment, n)))
FAILING(char *, strdup, (const char *s), note_block(strdup(s)))
FAILING(char *, strndup, (const char *s, size_t n), note_block(strndup(s, n)))
FAILING(void *, realloc, (void *old, size_t n), (forget_block(old), note_block(realloc(old, n))))
FAILING(FILE *, open_memstream, (char **text, size_t *n), open_memstream(text, n))

void failing_free(void *p);
void failing_free(void *p) {
    forget_block(p);
    free(p);
}

int failing_fsync(int file);
int failing_fsync(int file) { /* hundreds of runs need not wait for the disk */
    (void)file;
    return 0;
}

/* Texts of open_memstream, which the C library allocates, are left behind by a program that gives up. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:_IO_mem_finish";
}

static jmp_buf given_up;

_Noreturn void failing_exit(int status);
_Noreturn void failing_exit(int status) {
    longjmp(given_up, status);
}

/* An attempt returns 1 and sums up what it did in *result, or 0 with an error. */
typedef int attempt(const void *subject, double *result, lopt_error *err);

/* Makes each allocation of an attempt fail in turn. What can do without one must do the same without it. */
static void fail_each(const char *name, attempt *try, const void *subject) {
    double expected = 0;
    lopt_error err = {LOPT_OK, ""};
    cr_assert(try(subject, &expected, &err), "%s: %s", name, err.text);
    for (long k = 0, failed = 1; failed; k++) {
        size_t before = n_blocks;
        double result = 0;
        err = (lopt_error){LOPT_OK, ""};
        until_failure = k;
        int ok = try(subject, &result, &err);
        failed = until_failure < 0;
        until_failure = -1;
        cr_assert(n_blocks == before, "%s: %zd blocks leak when allocation %ld fails", name, n_blocks - before, k);
        cr_assert(!ok || result == expected, "%s: allocation %ld fails: %g, not %g", name, k, result, expected);
        cr_assert(ok || (failed && err.text[0] && err.status == LOPT_ENOMEM), "%s: allocation %ld fails: %d, \"%s\"",
                  name, k, (int)err.status, err.text);
    }
}

static void *room(size_t bytes) { /* never fails */
    void *p = NULL;
    cr_assert(posix_memalign(&p, 64, bytes + 64) == 0);
    return memset(p, 0, bytes + 64);
}

/* ---- optimizers ---------------------------------------------------------------------------------- */

static int step_optimizer(const void *preset, double *result, lopt_error *err) {
    lopt_tensor tensors[] = {lopt_tensor_make("w", 2, (int64_t[]){6, 4}), lopt_tensor_make("b", 1, (int64_t[]){4})};
    float params[28] = {0}, grads[28] = {1, -1};
    lopt_optimizer *opt = lopt_create(preset, NULL, 0, err), *copy = opt ? lopt_clone(opt) : NULL;
    if (opt && !copy) *err = (lopt_error){LOPT_ENOMEM, "lopt_clone returns NULL"};
    lopt_state *state = copy ? lopt_state_create(copy, tensors, 2, err) : NULL;
    if (state) {
        lopt_state_reset(copy, state, 10);
        for (int k = 0; k < 2; k++) lopt_step(copy, state, params, grads, 1, NULL);
        for (int i = 0; i < 28; i++) *result += params[i] * (i + 1);
    }
    int ok = state != NULL;
    lopt_state_destroy(state);
    lopt_destroy(copy);
    lopt_destroy(opt);
    return ok;
}

Test(out_of_memory, optimizers) {
    for (size_t i = 0; lopt_preset(i); i++) fail_each(lopt_preset(i)->name, step_optimizer, lopt_preset(i)->name);
    setenv("LOPT_THREADS", "3", 1);
    fail_each("adam on three threads", step_optimizer, "adam");
}

/* ---- tasks --------------------------------------------------------------------------------------- */

static int train_task(const void *spec, double *result, lopt_error *err) {
    task *t = task_create(spec, err);
    if (!t) return 0;
    float *tau = room(t->n_tau * sizeof *tau), *grads = room(t->n_params * sizeof *grads);
    float *params = room((t->n_params + t->n_aux) * sizeof *params);
    void *work = room(t->work_bytes);
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, 0, 0, 0});
    task_sample_tau(t, &r, tau);
    task_initial_params(t, tau, &r, params);
    task_draw_batch(t, tau, TASK_TRAIN, &r, work);
    *result = (double)task_compute_loss(t, tau, work, params, grads);
    task_after_step(t, tau, params);
    if (task_has_accuracy(t)) task_compute_accuracy(t, tau, work, params);
    free(tau), free(grads), free(params), free(work);
    task_destroy(t);
    return 1;
}

static task_spec small_spec(const char *kind) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "%s", kind);
    snprintf(spec.dataset, sizeof spec.dataset, "%s",
             strstr(kind, "_lm") ? "fortunes" : "gaussians examples=100 size=4");
    spec.batch_size = 2;
    return spec;
}

Test(out_of_memory, tasks) {
    setenv("METATRAIN_CACHE", "/dev/null", 1); /* data sets are read each time */
    for (size_t i = 0; task_name_at(i); i++) {
        task_spec spec = small_spec(task_name_at(i)->name);
        if (spec.task[0] < 'a') continue; /* published names begin with a capital */
        fail_each(spec.task, train_task, &spec);
    }
}

Test(out_of_memory, data_file) {
    char path[200];
    snprintf(path, sizeof path, "%s/data.csv", getenv("SCRATCH"));
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 40; i++) fprintf(f, "%d,%d,%d\n", i % 2, i, 40 - i);
    cr_assert(fclose(f) == 0);
    task_spec spec = small_spec("image_mlp");
    snprintf(spec.dataset, sizeof spec.dataset, "%s label=0", path);
    setenv("METATRAIN_CACHE", "/dev/null", 1);
    fail_each(path, train_task, &spec);
}

Test(out_of_memory, augmented_tasks) {
    task_spec spec = small_spec("image_mlp");
    spec.reparam = TASK_REPARAM_TENSOR;
    spec.es_pairs = 2, spec.es_std = 0.1;
    spec.bf16 = spec.unit_gradient = 1;
    spec.directions = 2, spec.delay = 3;
    fail_each("augmented image_mlp", train_task, &spec);
}

/* ---- a run --------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

/* The message is what the command prints. A rank that cannot send a message gives up, by design. A run that survives a failure, such as that of a plot, says so. */
static int train_run(const void *dir, double *result, lopt_error *err) {
    char out[512], log[512];
    snprintf(out, sizeof out, "%s/run", (const char *)dir);
    snprintf(log, sizeof log, "%s/log", (const char *)dir);
    const char *const words[] = {"train", "configs/quadratic.yaml",
                                 "--out", out,
                                 "--set", "outer.steps=3",
                                 "--set", "particles=2",
                                 "--set", "checkpoint.every=2",
                                 "--set", "evaluate.every=2",
                                 "--set", "evaluate.tasks=[{task: quadratic}]",
                                 "--set", "evaluate.steps=3"};
    enum { N = sizeof words / sizeof *words };
    char *argv[N + 1] = {0};
    for (int i = 0; i < N; i++) argv[i] = strdup(words[i]);
    fflush(stdout);
    int kept[] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    cr_assert(freopen(log, "w", stderr) && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0);
    volatile int status = 1, gave_up = 0;
    if (setjmp(given_up) == 0)
        status = mt_command_train(N, argv);
    else
        gave_up = 1, free_blocks();
    fflush(NULL);
    for (int i = 0; i < 2; i++) dup2(kept[i], i + 1), close(kept[i]);
    FILE *f = fopen(log, "r");
    char line[512];
    unsigned long long digest = 0;
    err->status = LOPT_ENOMEM;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "metatrain: ", 11) == 0) snprintf(err->text, sizeof err->text, "%.200s", line);
        if (sscanf(line, "digest: %16llx", &digest) == 1) *result = (double)digest;
    }
    fclose(f);
    for (int i = 0; i < N; i++) free(argv[i]);
    cr_assert(!gave_up || strstr(err->text, "memory"), "gives up: %s", err->text);
    nftw(out, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status == 0;
}

Test(out_of_memory, run) {
    const char *dir = getenv("SCRATCH");
    fail_each("train", train_run, dir ? dir : "/tmp");
}
