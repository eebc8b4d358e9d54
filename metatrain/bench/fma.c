/* SPDX-License-Identifier: Apache-2.0
 *
 * fma.c - see fma.h; compiled with MT_ISA (a name) and MT_VL (floats in a vector).
 * Without an instruction that does both, a multiplication and an addition count as one
 * multiply-add. */
#include "bench/fma.h"

typedef float vf __attribute__((vector_size(MT_VL * 4)));

/* Independent sums: enough to hide 4 to 6 cycles of latency on two units, few enough for 16
 * registers. */
#define CHAINS 12

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define JOIN_OF(a, b) a##b
#define JOIN(a, b) JOIN_OF(a, b)

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif

static float run(int64_t passes, float x, float y) {
    vf a[CHAINS], sum = {0};
    vf factor = x - (vf){0}, term = y - (vf){0};
    UNROLL for (int i = 0; i < CHAINS; i++) a[i] = term * (float)i;
    for (int64_t pass = 0; pass < passes; pass++) {
        UNROLL for (int i = 0; i < CHAINS; i++) a[i] = a[i] * factor + term;
    }
    UNROLL for (int i = 0; i < CHAINS; i++) sum += a[i];
    return sum[0];
}

const mt_fma JOIN(mt_fma_, MT_ISA) = {TEXT(MT_ISA), 2.0 * CHAINS *MT_VL, run};
