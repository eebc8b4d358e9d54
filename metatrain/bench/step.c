/* SPDX-License-Identifier: Apache-2.0
 *
 * step.c - one step of each optimizer, on tensors of several sizes, beside Adam's, a copy and
 * the peak of the machine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/progress.h"
#include "bench/bench.h"
#include "bench/peak.h"
#include "rng/rng.h"

#define LONGEST_STEP 8.0                 /* seconds: what takes longer is left out */
#define SMALLEST_SHARED 32768            /* parameters: see lopt_set_threads */
#define LARGEST_COPY ((size_t)256 << 20) /* beyond every cache */
#define MOST_TENSORS 50
#define MOST_COMPARED 10000 /* parameters that the reference kernels step too */
#define COMPARED_STEPS 3

/* Tensors of `dim`, n of them, `times` over. */
typedef struct size {
    const char *name;
    int in_quick, times, n;
    int64_t dim[4][2]; /* the second 0: a vector */
} size;

static const size sizes[] = {
    {"64-32-10 MLP", 1, 1, 4, {{64, 32}, {32, 0}, {32, 10}, {10, 0}}},
    {"64x64", 1, 1, 1, {{64, 64}}},
    {"25 layers of 200x200", 1, 25, 2, {{200, 200}, {200, 0}}},
    {"1,000x1,000", 1, 1, 1, {{1000, 1000}}},
    {"10,000x10,000", 0, 1, 1, {{10000, 10000}}},
};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

/* ---- what is stepped ------------------------------------------------------------------------- */

/* The tensors of a size with their parameters and gradients. */
typedef struct ground {
    lopt_tensor tensors[MOST_TENSORS];
    size_t n_tensors, n_params;
    float *initial, *params, *grads;
} ground;

static int ground_open(ground *g, const size *s, lopt_error *err) {
    lopt_rng_stream r;
    *g = (ground){.n_tensors = (size_t)(s->times * s->n)};
    for (int i = 0; i < s->times * s->n; i++) {
        const int64_t *dim = s->dim[i % s->n];
        char name[16];
        snprintf(name, sizeof name, "%c%d", dim[1] ? 'w' : 'b', i / 2);
        g->tensors[i] = lopt_tensor_make(name, dim[1] ? 2 : 1, dim);
        g->n_params += (size_t)lopt_tensor_size(&g->tensors[i]);
    }
    size_t bytes = (g->n_params * sizeof(float) + 63) / 64 * 64;
    g->initial = aligned_alloc(64, bytes);
    g->params = aligned_alloc(64, bytes);
    g->grads = aligned_alloc(64, bytes);
    if (!g->initial || !g->params || !g->grads)
        return mt_error(err, LOPT_ENOMEM, "out of memory for %zu parameters", g->n_params);
    lopt_rng_open_stream(&r, (lopt_rng_address){1, LOPT_RNG_TEST, 0, 0, 0});
    lopt_rng_fill_normals(&r, g->n_params, g->initial);
    lopt_rng_fill_normals(&r, g->n_params, g->grads);
    for (size_t i = 0; i < g->n_params; i++) g->grads[i] *= 0.01f;
    return 1;
}

static void ground_close(ground *g) {
    free(g->initial);
    free(g->params);
    free(g->grads);
}

/* One optimizer on a ground. */
typedef struct subject {
    lopt_optimizer *opt;
    lopt_state *state;
    float *params;
    const float *grads;
    size_t state_bytes, n_params;
} subject;

static int subject_open(subject *s, const char *name, const ground *g, int threads, lopt_error *err) {
    *s = (subject){.params = g->params, .grads = g->grads, .n_params = g->n_params};
    s->opt = mt_bench_optimizer(name, err);
    if (s->opt && lopt_set_threads(s->opt, threads, err) == LOPT_OK)
        s->state = lopt_state_create(s->opt, g->tensors, g->n_tensors, err);
    if (!s->state) {
        lopt_destroy(s->opt);
        *s = (subject){0};
        return 0;
    }
    lopt_state_data(s->state, &s->state_bytes);
    lopt_state_reset(s->opt, s->state, 1000000);
    memcpy(g->params, g->initial, g->n_params * sizeof(float));
    return 1;
}

static void subject_close(subject *s) {
    lopt_state_destroy(s->state);
    lopt_destroy(s->opt);
}

static void step(void *self) {
    subject *s = self;
    lopt_step(s->opt, s->state, s->params, s->grads, 1, NULL);
}

/* Updates of the last of a few steps from the initial parameters. */
static int last_updates(const subject *s, const ground *g, float *updates) {
    lopt_state *state = lopt_state_create(s->opt, g->tensors, g->n_tensors, NULL);
    if (!state) return 0;
    lopt_state_reset(s->opt, state, 1000000);
    memcpy(s->params, g->initial, g->n_params * sizeof(float));
    for (int i = 0; i < COMPARED_STEPS; i++) lopt_step(s->opt, state, s->params, g->grads, 1, updates);
    lopt_state_destroy(state);
    memcpy(s->params, g->initial, g->n_params * sizeof(float));
    return 1;
}

/* Root mean square of (updates - right) over that of right. */
static double largest_difference(const float *updates, const float *right, size_t n) {
    double difference = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)updates[i] - right[i]) * ((double)updates[i] - right[i]);
        scale += (double)right[i] * right[i];
    }
    return sqrt(difference / scale);
}

/* How far updates are from those of the reference kernels; NaN: too many for these, or no memory.
 */
static double off_by(const subject *s, const ground *g) {
    char kernels[32];
    double result = NAN;
    float *updates = g->n_params <= MOST_COMPARED ? malloc(2 * g->n_params * sizeof *updates) : NULL;
    if (!updates) return NAN;
    float *right = updates + g->n_params;
    snprintf(kernels, sizeof kernels, "%s", lopt_kernels_name());
    int done = last_updates(s, g, updates);
    lopt_kernels_use("reference", NULL);
    if (done && last_updates(s, g, right)) result = largest_difference(updates, right, g->n_params);
    lopt_kernels_use(kernels, NULL);
    free(updates);
    return result;
}

/* What a step must at least read and write: state and parameters both, gradients once. */
static double bytes_of_step(const subject *s) {
    return 2 * (double)s->state_bytes + 12 * (double)s->n_params;
}

/* Two arrays that together are as large as what the step works on. */
static size_t copy_bytes(const subject *s) {
    size_t half = (s->state_bytes + 2 * sizeof(float) * s->n_params) / 2;
    return half < LARGEST_COPY ? half : LARGEST_COPY;
}

/* ---- what fits ------------------------------------------------------------------------------- */

/* What the smaller sizes say about an optimizer. */
typedef struct experience {
    double n_params[2], seconds[2]; /* of the two sizes before; of about equal ones, the last */
    double bytes;                   /* of the state, a parameter */
} experience;

static void learn_rate(experience *e, const subject *s, double seconds) {
    if ((double)s->n_params > 1.5 * e->n_params[1]) {
        e->n_params[0] = e->n_params[1];
        e->seconds[0] = e->seconds[1];
    }
    e->n_params[1] = (double)s->n_params;
    e->seconds[1] = seconds;
    e->bytes = (double)s->state_bytes / (double)s->n_params;
}

/* Seconds of a step on n parameters, along the power law through the two sizes before: 1 for work
 * per parameter, 1.5 for products of square matrices. */
static double expected_seconds(const experience *e, double n) {
    if (e->n_params[0] <= 0) return 0;
    double power = log(e->seconds[1] / e->seconds[0]) / log(e->n_params[1] / e->n_params[0]);
    return e->seconds[1] * pow(n / e->n_params[1], fmin(fmax(power, 1), 1.5));
}

/* Threads that a step on n parameters can use here: one where tensors are too small to be shared. */
static int all_threads(double n) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < SMALLEST_SHARED || cores < 2) return 1;
    return cores < LOPT_MAX_THREADS ? (int)cores : LOPT_MAX_THREADS;
}

static double available_bytes(void) {
    double kilobytes = INFINITY;
    char line[256];
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lf", &kilobytes) == 1) break;
    if (f) fclose(f);
    return 1024 * kilobytes;
}

/* 0 and a sentence if a step on n parameters takes too much of something. */
static int fits_memory(const experience *e, const char *name, double n, lopt_error *err) {
    double seconds = expected_seconds(e, n), free_bytes = available_bytes();
    double states = all_threads(n) > 1 ? 2 : 1;
    double needed = (states + 1) * e->bytes * n; /* scratch may be as large as the state */
    if (e->n_params[1] <= 0) return 1;
    if (needed > 0.9 * free_bytes)
        return mt_error(err, LOPT_ENOMEM, "%s may need %.1f GB, of which %.1f GB are free", name, needed / 1e9,
                        free_bytes / 1e9);
    if (seconds <= LONGEST_STEP) return 1;
    return mt_error(err, LOPT_EARG, "a step of %s would take about %.0f s", name, seconds);
}

/* ---- rows ------------------------------------------------------------------------------------ */

enum { PEAK, COPY, ADAM, SUBJECT, ALL, N_ITEMS };

/* Share of peak that `flop` operations in one step are, by round. */
static mt_spread share_of_peak(const mt_timed *items, double flop, int rounds) {
    double share[MT_MAX_ROUNDS];
    for (int r = 0; r < rounds; r++)
        share[r] = flop / items[SUBJECT].seconds[r] / (mt_peak_flop() / items[PEAK].seconds[r]);
    return mt_spread_of(share, rounds);
}

/* How many times as fast all threads are as one; NaN if there are no others. */
static mt_spread speed_of_all(const mt_timed *items, int rounds) {
    if (!items[ALL].run) return (mt_spread){NAN, NAN, NAN};
    return mt_wall_ratio(&items[SUBJECT], &items[ALL], rounds);
}

static json_t *row(const char *name, const size *at, const subject *s, const mt_copy *copy, const mt_timed *items,
                   int rounds, double off) {
    char network[32];
    double n = (double)s->n_params, flop = mt_bench_network_flop(s->opt);
    mt_bench_network_text(s->opt, network, sizeof network);
    mt_spread x_copy = mt_ratio_of(&items[SUBJECT], &items[COPY], rounds);
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:f, s:i, s:o, s:o}", "optimizer", name,
                     "size", at->name, "network", network, "parameters", (json_int_t)s->n_params, "threads", 1,
                     "rounds", rounds, "ns_per_parameter",
                     mt_bench_spread(mt_spread_scaled(mt_seconds_of(&items[SUBJECT], rounds), 1e9 / n)),
                     "nominal_flop_per_parameter", mt_bench_number(flop), "nominal_share",
                     mt_bench_spread(share_of_peak(items, flop * n, rounds)), "x_adam",
                     mt_bench_spread(mt_ratio_of(&items[SUBJECT], &items[ADAM], rounds)), "x_copy",
                     mt_bench_spread(mt_spread_scaled(x_copy, 2 * (double)copy->bytes / bytes_of_step(s))),
                     "bytes_per_parameter", bytes_of_step(s) / n, "all_threads", all_threads(n), "all_x_one",
                     mt_bench_spread(speed_of_all(items, rounds)), "off_by_ppm", mt_bench_number(1e6 * off));
}

/* Times one optimizer; NULL and a sentence if it cannot be. */
static json_t *measure_step(const mt_bench *b, const char *name, const size *at, const ground *g, subject *adam,
                            experience *e, lopt_error *err) {
    subject s, all = {0};
    mt_copy copy;
    int threads = all_threads((double)g->n_params);
    if (!fits_memory(e, name, (double)g->n_params, err) || !subject_open(&s, name, g, 1, err)) return NULL;
    if ((threads > 1 && !subject_open(&all, name, g, threads, err)) || !mt_copy_open(&copy, copy_bytes(&s), err)) {
        subject_close(&all);
        subject_close(&s);
        return NULL;
    }
    double off = off_by(&s, g);
    mt_timed items[N_ITEMS] = {[PEAK] = mt_peak_timed(),
                               [COPY] = {.run = mt_copy_run, .self = &copy},
                               [ADAM] = {.run = step, .self = adam},
                               [SUBJECT] = {.run = step, .self = &s},
                               [ALL] = {.run = threads > 1 ? step : NULL, .self = &all}};
    int rounds = mt_time_of(items, N_ITEMS, &b->timing);
    json_t *result = row(name, at, &s, &copy, items, rounds, off);
    learn_rate(e, &s, mt_seconds_of(&items[SUBJECT], rounds).median);
    mt_copy_close(&copy);
    subject_close(&all);
    subject_close(&s);
    return result;
}

static json_t *skipped_row(const char *name, const size *at, const lopt_error *why) {
    json_t *row = mt_bench_skipped("optimizer", name, why->text);
    json_object_set_new(row, "size", json_string(at->name));
    return row;
}

static int measure_size(const mt_bench *b, const size *at, experience *e, json_t *rows, lopt_error *err) {
    const char *names[MT_BENCH_MAX_NAMES];
    size_t n = mt_bench_names(b, names);
    lopt_error why;
    ground g = {0};
    subject adam = {0};
    mt_progress progress;
    mt_progress_start(&progress, at->name, 0, (int64_t)n);
    if (b->quick && !at->in_quick) {
        mt_error(&why, LOPT_EARG, "it takes minutes, and --quick was asked for");
        return json_array_append_new(rows, skipped_row("every optimizer", at, &why)) == 0;
    }
    int ok = ground_open(&g, at, err) && subject_open(&adam, "adam", &g, 1, err);
    for (size_t i = 0; ok && i < n; i++) {
        mt_progress_update(&progress, (int64_t)i, names[i]);
        json_t *result = measure_step(b, names[i], at, &g, &adam, &e[i], &why);
        json_array_append_new(rows, result ? result : skipped_row(names[i], at, &why));
    }
    mt_progress_clear(&progress);
    subject_close(&adam);
    ground_close(&g);
    return ok;
}

json_t *mt_bench_step(const mt_bench *b, lopt_error *err) {
    experience e[MT_BENCH_MAX_NAMES] = {{.bytes = 0}};
    json_t *rows = json_array();
    for (int i = 0; i < N_SIZES; i++) {
        if (measure_size(b, &sizes[i], e, rows, err)) continue;
        json_decref(rows);
        return NULL;
    }
    return rows;
}

/* ---- tables ---------------------------------------------------------------------------------- */

void mt_bench_print_step(const json_t *rows, FILE *f) {
    static const mt_bench_column columns[] = {{"optimizer", "optimizer", MT_SHOW_TEXT},
                                              {"network", "network", MT_SHOW_TEXT},
                                              {"ns/param", "ns_per_parameter", MT_SHOW_NUMBER},
                                              {"range", "ns_per_parameter", MT_SHOW_RANGE},
                                              {"of peak", "nominal_share", MT_SHOW_PERCENT},
                                              {"x Adam", "x_adam", MT_SHOW_NUMBER},
                                              {"x copy", "x_copy", MT_SHOW_NUMBER},
                                              {"all x one", "all_x_one", MT_SHOW_NUMBER},
                                              {"off ppm", "off_by_ppm", MT_SHOW_NUMBER}};
    for (int i = 0; i < N_SIZES; i++) {
        json_t *here = json_array();
        size_t at;
        const json_t *one;
        json_array_foreach(rows, at, one) {
            const char *name = json_string_value(json_object_get(one, "size"));
            if (name && strcmp(name, sizes[i].name) == 0) json_array_append(here, (json_t *)(uintptr_t)one);
        }
        fprintf(f, "%s%s\n", i ? "\n" : "", sizes[i].name);
        mt_bench_print(here, columns, sizeof columns / sizeof *columns, f);
        json_decref(here);
    }
}
