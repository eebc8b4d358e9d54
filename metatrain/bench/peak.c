/* SPDX-License-Identifier: Apache-2.0
 *
 * peak.c - what one core of this machine can do: multiply-adds and copying. */
#include "bench/peak.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bench/bench.h"
#include "bench/fma.h"

/* ---- arithmetic ------------------------------------------------------------------------------ */

const mt_fma *mt_fma_usable(int i) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && i-- == 0) return &mt_fma_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && i-- == 0) return &mt_fma_avx2;
#endif
    return i == 0 ? &mt_fma_portable : NULL;
}

#define PASSES 10000

static volatile float factor = 0.9999f, term = 1e-3f; /* no compiler knows what comes out */

static void multiply_add(void *self) {
    const mt_fma *fma = self;
    factor = fma->run(PASSES, factor, term) > 0 ? 0.9999f : 0.9998f;
}

mt_timed mt_peak_timed(void) {
    return (mt_timed){.run = multiply_add, .self = (void *)(uintptr_t)mt_fma_usable(0)};
}

double mt_peak_flop(void) {
    return PASSES * mt_fma_usable(0)->flop;
}

/* ---- copying --------------------------------------------------------------------------------- */

int mt_copy_open(mt_copy *c, size_t bytes, lopt_error *err) {
    c->bytes = (bytes + 63) / 64 * 64;
    c->from = aligned_alloc(64, c->bytes);
    c->to = aligned_alloc(64, c->bytes);
    if (!c->from || !c->to) {
        mt_copy_close(c);
        return mt_error(err, LOPT_ENOMEM, "out of memory for two arrays of %zu bytes", bytes);
    }
    memset(c->from, 1, c->bytes);
    memset(c->to, 2, c->bytes);
    return 1;
}

void mt_copy_close(mt_copy *c) {
    free(c->from);
    free(c->to);
    *c = (mt_copy){0};
}

void mt_copy_run(void *self) {
    mt_copy *c = self;
    memcpy(c->to, c->from, c->bytes);
    __asm__ volatile("" : : "r"(c->to) : "memory");
}

/* ---- the part "peak" ------------------------------------------------------------------------- */

enum { MAX_SETS = 3 };

static json_t *arithmetic_row(const mt_timed *t, const mt_timed *widest, int rounds) {
    const mt_fma *fma = t->self;
    double rate[MT_MAX_ROUNDS], share[MT_MAX_ROUNDS], flop = PASSES * fma->flop;
    for (int r = 0; r < rounds; r++) {
        rate[r] = flop / t->seconds[r] / 1e9;
        share[r] = rate[r] / (mt_peak_flop() / widest->seconds[r] / 1e9);
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "what", fma->name, "unit", "GFLOP/s", "rate",
                     mt_bench_spread(mt_spread_of(rate, rounds)), "of_widest",
                     mt_bench_spread(mt_spread_of(share, rounds)));
}

static json_t *copy_row(const mt_timed *t, double bytes, int rounds) {
    double rate[MT_MAX_ROUNDS];
    for (int r = 0; r < rounds; r++) rate[r] = 2 * bytes / t->seconds[r] / 1e9;
    return json_pack("{s:s, s:s, s:o}", "what", "copy", "unit", "GB/s", "rate",
                     mt_bench_spread(mt_spread_of(rate, rounds)));
}

json_t *mt_bench_peak(const mt_bench *b, lopt_error *err) {
    mt_timed items[MAX_SETS + 1] = {{0}};
    mt_copy copy;
    size_t n = 0;
    if (!mt_copy_open(&copy, (size_t)(b->quick ? 32 : 256) << 20, err)) return NULL;
    for (; n < MAX_SETS && mt_fma_usable((int)n); n++)
        items[n] = (mt_timed){.run = multiply_add, .self = (void *)(uintptr_t)mt_fma_usable((int)n)};
    items[n] = (mt_timed){.run = mt_copy_run, .self = &copy};
    int rounds = mt_time_of(items, n + 1, &b->timing);
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(rows, arithmetic_row(&items[i], &items[0], rounds));
    json_array_append_new(rows, copy_row(&items[n], (double)copy.bytes, rounds));
    mt_copy_close(&copy);
    return rows;
}

void mt_bench_print_peak(const json_t *rows, FILE *f) {
    static const mt_bench_column columns[] = {{"one core", "what", MT_SHOW_TEXT},
                                              {"rate", "rate", MT_SHOW_NUMBER},
                                              {"range", "rate", MT_SHOW_RANGE},
                                              {"unit", "unit", MT_SHOW_TEXT},
                                              {"of widest", "of_widest", MT_SHOW_PERCENT}};
    mt_bench_print(rows, columns, sizeof columns / sizeof *columns, f);
}
