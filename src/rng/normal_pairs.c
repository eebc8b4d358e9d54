/* SPDX-License-Identifier: Apache-2.0
 *
 * normal_pairs.c - see normal_pairs.h. Compiled once per instruction set with -DLOPT_RNG_ISA=portable|avx2|avx512 and
 * that set's flags, always without contraction into multiply-adds. Every operation is exact or
 * correctly rounded by IEEE 754 (+, -, x, sqrt, integers) and each is written down, so every
 * compiler, instruction set and vector width gives the same results; libm is not used. The loops have no
 * branches, so compilers vectorise them. */
#include "rng/normal_pairs.h"

#include <math.h>
#include <string.h>

#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
#error "floats must be rounded after every operation (x87: compile with -msse2 -mfpmath=sse)"
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

static inline uint32_t bits_of_float(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float float_from_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* -2 ln u for 0 < u <= 1. u = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m by a polynomial in m - 1
 * (minimax of the relative error: 3e-8). */
static inline float minus_two_log(float u) {
    const uint32_t low = 0x3f3504f3; /* sqrt(1/2) */
    uint32_t above = bits_of_float(u) - low;
    float e = (float)((int32_t)above >> 23);
    float f = float_from_bits((above & 0x7fffff) + low) - 1.0f;
    float p = -0.17469874f;
    p = p * f + 0.286153883f;
    p = p * f - 0.298360318f;
    p = p * f + 0.331409782f;
    p = p * f - 0.399241328f;
    p = p * f + 0.500035107f;
    p = p * f - 0.666679025f;
    p = p * f + 0.999999821f;
    p = p * f - 2.0f;
    return p * f - e * 1.38629436f;
}

/* One output is one pair: its upper 31 bits the radius, its lower 32 the direction. The direction is
 * an angle within an eighth of a turn, then mirrored at the diagonal or not, turned by half or not. */
static inline void normal_pair_of_bits(uint64_t output, float *x, float *y) {
    uint32_t low = (uint32_t)output;
    float u = ((float)(int32_t)(output >> 33) + 0.5f) * 0x1p-31f;
    float t = (float)((int32_t)low >> 2) * 0x1p-29f, t2 = t * t; /* angle: t pi / 4 */
    float s = -3.59504156e-05f;
    s = s * t2 + 0.00249000103f;
    s = s * t2 - 0.0807454288f;
    s = s * t2 + 0.785398185f;
    s = s * t;
    float c = -0.000319019688f;
    c = c * t2 + 0.0158501994f;
    c = c * t2 - 0.308424413f;
    c = c * t2 + 1.0f;
    uint32_t turn = low << 30 & 0x80000000u, mirror = 0u - (low & 1);
    uint32_t swap = (bits_of_float(s) ^ bits_of_float(c)) & mirror;
    float radius = float_from_bits(bits_of_float(sqrtf(minus_two_log(u))) ^ turn);
    *x = radius * float_from_bits(bits_of_float(c) ^ swap);
    *y = radius * float_from_bits(bits_of_float(s) ^ swap);
}

void JOIN(lopt_rng_pairs_, LOPT_RNG_ISA)(int n, const uint64_t *restrict output, float *restrict out) {
    float x[LOPT_RNG_PAIRS], y[LOPT_RNG_PAIRS];
    for (int i = 0; i < n; i++) normal_pair_of_bits(output[i], &x[i], &y[i]);
    for (int i = 0; i < n; i++) {
        out[2 * i] = x[i];
        out[2 * i + 1] = y[i];
    }
}
