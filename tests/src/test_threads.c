/* SPDX-License-Identifier: Apache-2.0
 *
 * A step has the same bits on any number of threads: every optimizer, every kernel table, tensors of every
 * rank, in one part and in many. And how many threads there are. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/thread_team.h"
#include "lopt.h"

enum { STEPS = 2 };

#ifdef PLAIN_CRITERION_H /* perhaps under an emulator, fifty times as slow */
enum { PRESETS_APART = 7 };
#else
enum { PRESETS_APART = 1 };
#endif

typedef struct shape {
    int rank;
    int64_t dim[4];
} shape;

/* Small; cut along lanes, along rows, between slices. Then lanes that are strided, the other order of axes. */
enum { N_SHAPES = 9 };
static const shape shapes[2][N_SHAPES] = {{{0, {0}},
                                           {1, {1}},
                                           {2, {1, 1}},
                                           {2, {5, 3}},
                                           {1, {50001}},
                                           {2, {5, 8001}},
                                           {2, {601, 70}},
                                           {3, {2, 170, 200}},
                                           {4, {3, 3, 64, 80}}},
                                          {{1, {3}},
                                           {1, {17}},
                                           {2, {17, 15}},
                                           {2, {3, 5}},
                                           {3, {130, 4, 65}},
                                           {2, {8001, 5}},
                                           {2, {70, 601}},
                                           {3, {200, 170, 2}},
                                           {4, {80, 64, 3, 3}}}};

static uint32_t lopt_rng_state;

static void fill(float *x, size_t n, float scale) {
    for (size_t i = 0; i < n; i++) {
        lopt_rng_state = lopt_rng_state * 1664525u + 1013904223u;
        x[i] = scale * (float)(int32_t)lopt_rng_state * 0x1p-31f;
    }
}

static size_t make_tensors(const shape s[N_SHAPES], lopt_tensor tensors[N_SHAPES]) {
    size_t n = 0;
    for (int i = 0; i < N_SHAPES; i++) {
        char name[8];
        snprintf(name, sizeof name, "w%d", i);
        tensors[i] = lopt_tensor_make(name, s[i].rank, s[i].dim);
        n += (size_t)lopt_tensor_size(&tensors[i]);
    }
    return n;
}

static lopt_optimizer *create(const char *preset) {
    lopt_error err = {0};
    lopt_optimizer *opt = lopt_create(preset, NULL, 0, &err);
    cr_assert(opt, "%s", err.text);
    float *theta = malloc((lopt_n_theta(opt) + 1) * sizeof *theta);
    lopt_init_theta(opt, 7, theta);
    lopt_set_theta(opt, theta);
    free(theta);
    return opt;
}

/* What a few steps leave behind: params, updates, state. */
typedef struct outcome {
    size_t n, bytes;
    float *params, *updates;
    void *data;
} outcome;

static outcome run(lopt_optimizer *opt, const shape s[N_SHAPES], int n_threads) {
    lopt_error err = {0};
    lopt_tensor tensors[N_SHAPES];
    outcome o = {.n = make_tensors(s, tensors)};
    float *grads = malloc(o.n * sizeof *grads);
    o.params = malloc(o.n * sizeof *o.params);
    o.updates = malloc(o.n * sizeof *o.updates);
    cr_assert(lopt_set_threads(opt, n_threads, &err) == LOPT_OK, "%s", err.text);
    lopt_state *state = lopt_state_create(opt, tensors, N_SHAPES, &err);
    cr_assert(state, "%s", err.text);
    lopt_state_reset(opt, state, 100);
    lopt_rng_state = 1;
    fill(o.params, o.n, 1);
    for (int step = 0; step < STEPS; step++) {
        fill(grads, o.n, 0.1f);
        lopt_step(opt, state, o.params, grads, 1.0f / (float)(step + 1), o.updates);
    }
    const void *data = lopt_state_data(state, &o.bytes);
    o.data = memcpy(malloc(o.bytes), data, o.bytes);
    lopt_state_destroy(state);
    free(grads);
    return o;
}

static void discard(outcome *o) {
    free(o->params);
    free(o->updates);
    free(o->data);
}

static void check(const char *preset, const shape s[N_SHAPES]) {
    static const int counts[] = {2, 3, 5};
    lopt_optimizer *opt = create(preset);
    outcome one = run(opt, s, 1);
    for (int i = 0; i < 3; i++) {
        outcome many = run(opt, s, counts[i]);
        cr_assert(memcmp(one.params, many.params, one.n * sizeof(float)) == 0 &&
                      memcmp(one.updates, many.updates, one.n * sizeof(float)) == 0 &&
                      memcmp(one.data, many.data, one.bytes) == 0,
                  "%s, %s: %d threads differ from one", preset, lopt_kernels_name(), counts[i]);
        discard(&many);
    }
    for (size_t i = 0; i < one.n; i++) cr_assert(isfinite(one.params[i]), "%s: parameter %zu", preset, i);
    discard(&one);
    lopt_destroy(opt);
}

Test(threads, every_optimizer_has_the_same_bits) {
    for (size_t i = 0; lopt_preset(i); i += PRESETS_APART) check(lopt_preset(i)->name, shapes[0]);
}

Test(threads, every_kind_has_the_same_bits_in_the_other_order) {
    const char *last = "";
    for (size_t i = 0; lopt_preset(i); i += PRESETS_APART) {
        if (strcmp(lopt_preset(i)->kind, last) != 0) check(lopt_preset(i)->name, shapes[1]);
        last = lopt_preset(i)->kind;
    }
}

Test(threads, every_kernel_table_has_the_same_bits) {
    static const char *const tables[] = {"reference", "portable", "avx2", "avx512"};
    for (int i = 0; i < 4; i++)
        if (lopt_kernels_use(tables[i], NULL) == LOPT_OK) check("velo", shapes[0]);
}

/* ---- how many ---------------------------------------------------------------------------------- */

static int n_running(void) {
    int n = -2; /* "." and ".." */
    DIR *tasks = opendir("/proc/self/task");
    cr_assert(tasks);
    while (readdir(tasks)) n++;
    closedir(tasks);
    return n;
}

#ifdef __SANITIZE_THREAD__
enum { OF_SANITIZER = 1 }; /* it starts a thread of its own with the first of ours */
#else
enum { OF_SANITIZER = 0 };
#endif

static int n_started(lopt_optimizer *opt) {
    lopt_tensor t = lopt_tensor_make("w", 1, (int64_t[]){3});
    int before = n_running();
    lopt_state *state = lopt_state_create(opt, &t, 1, NULL);
    int n = n_running() - before;
    lopt_state_destroy(state);
    return n;
}

Test(threads, none_is_started_unless_asked_for) {
    lopt_error err;
    unsetenv("LOPT_THREADS");
    lopt_optimizer *opt = create("adam"), *copy;
    cr_assert(lopt_threads(opt) == 1 && n_started(opt) == 0);
    cr_assert(lopt_set_threads(opt, 4, &err) == LOPT_OK && n_started(opt) == 3 + OF_SANITIZER);
    copy = lopt_clone(opt);
    cr_assert(lopt_threads(copy) == 4);
    cr_assert(lopt_set_threads(opt, 0, &err) == LOPT_EARG);
    cr_assert_str_eq(err.text, "found 0 threads, expected 1 to 64");
    cr_assert(lopt_set_threads(opt, LOPT_MAX_THREADS + 1, &err) == LOPT_EARG && lopt_threads(opt) == 4);
    lopt_destroy(copy);
    lopt_destroy(opt);
}

Test(threads, environment_asks) {
    static const struct {
        const char *text;
        int n;
    } cases[] = {{"3", 3}, {"0", 1}, {"many", 1}, {"1000", LOPT_MAX_THREADS}};
    for (int i = 0; i < 4; i++) {
        setenv("LOPT_THREADS", cases[i].text, 1);
        lopt_optimizer *opt = create("adam");
        cr_assert(lopt_threads(opt) == cases[i].n, "%s: %d", cases[i].text, lopt_threads(opt));
        lopt_destroy(opt);
    }
}

/* ---- the team ---------------------------------------------------------------------------------- */

typedef struct counts {
    int part[100], thread_too_large;
} counts;

static void count(void *counts_, int64_t part, int thread) {
    counts *c = counts_;
    c->part[part]++;
    if (thread >= 3) c->thread_too_large = 1;
}

Test(threads, each_part_is_done_once) {
    lopt__team *team = lopt__team_create(3);
    for (int n = 0; n <= 100; n++)
        for (int repeat = 0; repeat < 20; repeat++) {
            counts c = {{0}, 0};
            lopt__team_run_chunks(n % 7 ? team : NULL, n, count, &c);
            for (int i = 0; i < 100; i++) cr_assert(c.part[i] == (i < n), "part %d of %d: %d times", i, n, c.part[i]);
            cr_assert(!c.thread_too_large);
        }
    lopt__team_destroy(team);
}
