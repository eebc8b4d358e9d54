/* SPDX-License-Identifier: Apache-2.0
 *
 * fma.h - as many multiply-adds as one core can do: what shares of peak are shares of.
 *
 * fma.c is compiled once per instruction set, like the kernels of liblopt. */
#ifndef MT_BENCH_FMA_H
#define MT_BENCH_FMA_H

#include <stdint.h>

typedef struct mt_fma {
    const char *name;                               /* of the instruction set */
    double flop;                                    /* of one pass, 2 a multiply-add */
    float (*run)(int64_t passes, float x, float y); /* the result only keeps the work alive */
} mt_fma;

extern const mt_fma mt_fma_portable;
#if defined(__x86_64__)
extern const mt_fma mt_fma_avx2, mt_fma_avx512;
#endif

/* Those that this machine runs, widest first; NULL past the last. */
const mt_fma *mt_fma_usable(int i);

#endif
