/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.h - the parts of `metatrain bench`, and what they share (docs/performance.md).
 *
 *     json_t *rows = mt_bench_step(&b, &err);      measures; an array of one object a row
 *     mt_bench_print(rows, columns, n, stdout);    a table of it
 *
 * Each part returns rows of plain JSON, which --json prints as they are and tables show: text and
 * JSON cannot disagree. A quantity that was measured several times is {"median", "min", "max"}.
 * What could not be measured is a row with "skipped", a sentence.
 *
 * Errors   parts return NULL and a sentence. Running out of memory while rows are made loses rows.
 */
#ifndef MT_BENCH_H
#define MT_BENCH_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/timer.h"
#include "lopt.h"

#define MT_BENCH_MAX_NAMES 64
#define MT_REFERENCE_PEAK 250e9 /* at which goals in steps per second or hours are stated */

typedef struct mt_bench {
    int quick;
    double seconds;                        /* of each run of the program (outer, recipe); 0: as the part sees fit */
    const char *names[MT_BENCH_MAX_NAMES]; /* optimizers asked for, in this order */
    size_t n_names;
    mt_timing timing;
} mt_bench;

json_t *mt_bench_machine(void);
json_t *mt_bench_peak(const mt_bench *b, lopt_error *err);
json_t *mt_bench_step(const mt_bench *b, lopt_error *err);
json_t *mt_bench_inner(const mt_bench *b, lopt_error *err);
json_t *mt_bench_outer(const mt_bench *b, lopt_error *err);
json_t *mt_bench_recipe(const mt_bench *b, lopt_error *err);
json_t *mt_bench_tasks(const mt_bench *b, lopt_error *err);

/* The optimizers to measure: those asked for, else every preset. Returns how many. */
size_t mt_bench_names(const mt_bench *b, const char *names[MT_BENCH_MAX_NAMES]);
int mt_bench_asked(const mt_bench *b, const char *name); /* 1 also if none was asked for by name */
/* An optimizer by the name of its preset, with a theta drawn from seed 1 if it is learned. */
lopt_optimizer *mt_bench_optimizer(const char *name, lopt_error *err);
/* Floating-point operations that the network of a learned optimizer takes for each parameter,
 * before any folding: inputs that depend on the parameter only, all outputs; 2 a multiply-add. NaN:
 * it has none. */
double mt_bench_network_flop(const lopt_optimizer *opt);
/* "39-32-32-2", or "-" if it has none. */
void mt_bench_network_text(const lopt_optimizer *opt, char *text, size_t bytes);
/* Inputs of that network which come from the accumulators of the shared kernels; 0: others, or
 * none. */
int mt_bench_kernel_features(const lopt_optimizer *opt);

static inline void *mt_bench_block(size_t bytes) { /* NULL: no memory */
    return aligned_alloc(64, (bytes + 127) / 64 * 64);
}

/* ---- rows ------------------------------------------------------------------------------------ */

json_t *mt_bench_number(double x); /* null if not finite */
json_t *mt_bench_spread(mt_spread s);
/* A row that says why it is empty; takes the reason from a sentence. */
json_t *mt_bench_skipped(const char *key, const char *name, const char *sentence);

/* How a column shows the value under `key`. */
typedef enum mt_bench_format {
    MT_SHOW_TEXT,
    MT_SHOW_COUNT,   /* a whole number */
    MT_SHOW_NUMBER,  /* three digits; the median of a spread */
    MT_SHOW_PERCENT, /* the same, times 100 */
    MT_SHOW_RANGE    /* min - max of a spread */
} mt_bench_format;

typedef struct mt_bench_column {
    const char *heading, *key;
    mt_bench_format format;
} mt_bench_column;

/* Rows with "skipped" come after the table, a line each, named by the first column. */
void mt_bench_print(const json_t *rows, const mt_bench_column *columns, size_t n, FILE *f);

/* The tables of the parts, as mt_bench_print needs them. */
void mt_bench_print_peak(const json_t *rows, FILE *f);
void mt_bench_print_step(const json_t *rows, FILE *f);
void mt_bench_print_inner(const json_t *rows, FILE *f);
void mt_bench_print_outer(const json_t *rows, FILE *f);
void mt_bench_print_recipe(const json_t *rows, FILE *f);
void mt_bench_print_tasks(const json_t *rows, FILE *f);

#endif
