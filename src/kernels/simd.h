/* SPDX-License-Identifier: Apache-2.0
 *
 * simd.h - vectors of LOPT_VL floats (GNU vector extensions) and the few operations that C has no operator
 * for. Included by vector.c, which is compiled once per instruction set. NaN passes through all of them. */
#ifndef LOPT_SIMD_H
#define LOPT_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define VL LOPT_VL
#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(VL * 4), may_alias));
typedef uint32_t vu __attribute__((vector_size(VL * 4), may_alias));
typedef int32_t vi __attribute__((vector_size(VL * 4), may_alias));
typedef float vf_unaligned __attribute__((vector_size(VL * 4), aligned(4), may_alias));

INLINE vf vf_splat(float x) {
    return x - (vf){0};
}

INLINE vf vf_load(const float *x) /* aligned to a vector */
{
    return *(const vf *)(const void *)x;
}

INLINE void vf_store(float *x, vf value) {
    *(vf *)(void *)x = value;
}

INLINE vf vf_load_unaligned(const float *x) {
    return *(const vf_unaligned *)(const void *)x;
}

INLINE void vf_store_unaligned(float *x, vf value) {
    *(vf_unaligned *)(void *)x = value;
}

INLINE vf vf_masked(vf x, vi mask) {
    return (vf)((vi)x & mask);
}

/* max(x, floor). x is the second operand of the instruction, which returns it if either is NaN. */
INLINE vf vf_max(vf x, vf floor) {
#if VL == 16 && defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)floor, (__m512)x);
#elif VL == 8 && defined(__AVX__)
    return (vf)_mm256_max_ps((__m256)floor, (__m256)x);
#elif VL == 4 && defined(__SSE__)
    return (vf)_mm_max_ps((__m128)floor, (__m128)x);
#else
    vi below = x < floor;
    return (vf)(((vi)x & ~below) | ((vi)floor & below));
#endif
}

INLINE vf vf_min(vf x, vf ceiling) {
#if VL == 16 && defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)ceiling, (__m512)x);
#elif VL == 8 && defined(__AVX__)
    return (vf)_mm256_min_ps((__m256)ceiling, (__m256)x);
#elif VL == 4 && defined(__SSE__)
    return (vf)_mm_min_ps((__m128)ceiling, (__m128)x);
#else
    vi above = x > ceiling;
    return (vf)(((vi)x & ~above) | ((vi)ceiling & above));
#endif
}

/* 1 / sqrt(x) for x > 0: the instruction's estimate and one Newton step; relative error at most 2e-7. */
INLINE vf vf_rsqrt(vf x) {
#if VL == 16 && defined(__AVX512F__)
    vf y = (vf)_mm512_rsqrt14_ps((__m512)x);
#elif VL == 8 && defined(__AVX__)
    vf y = (vf)_mm256_rsqrt_ps((__m256)x);
#elif VL == 4 && defined(__SSE__)
    vf y = (vf)_mm_rsqrt_ps((__m128)x);
#else
    vf root;
    for (int i = 0; i < VL; i++) root[i] = sqrtf(x[i]);
    return 1.0f / root;
#endif
#if defined(__SSE__)
    return y * (1.5f - 0.5f * x * y * y);
#endif
}

/* x = n log(2) + r, |r| <= log(2) / 2; returns n. */
INLINE vi split_exponent(vf x, vf *r) {
    const float round = 12582912.0f; /* 1.5 2^23: adding it leaves the integer in the low bits */
    vf t = x * 1.44269504f + round;
    vf n = t - round;
    *r = x - n * 0.693359375f + n * 2.12194440e-4f;
    return (vi)t - 0x4b400000; /* the bits of `round` */
}

INLINE vf power_of_2(vi n) /* -126 <= n <= 127 */
{
    return (vf)((n + 127) << 23);
}

/* (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2, by its series; relative error of exp(r) 3e-8. */
INLINE vf vf_exp_tail(vf r) {
    vf y = 1.98412698e-4f * r + 1.38888889e-3f;
    y = y * r + 8.33333333e-3f;
    y = y * r + 4.16666667e-2f;
    y = y * r + 1.66666667e-1f;
    return y * r + 0.5f;
}

/* exp(x): 2^n exp(r); 2^n is applied in two factors, so that results overflow to inf and underflow
 * to 0 correctly. */
INLINE vf vf_exp(vf x) {
    vf r;
    vi n = split_exponent(vf_min(vf_max(x, vf_splat(-110.0f)), vf_splat(110.0f)), &r), half = n >> 1;
    vf y = vf_exp_tail(r);
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    return y * power_of_2(half) * power_of_2(n - half);
}

/* 1 / (1 + exp(-x)), to a few units in the last place wherever it is above 1e-30. */
INLINE vf vf_sigmoid(vf x) {
    return 1.0f / (1.0f + vf_exp(-x));
}

/* -e / (2 + e) with the sign of x, e = exp(-2 |x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1): no cancellation for
 * small x. */
INLINE vf vf_tanh(vf x) {
    vi sign = (vi)x & (vi)vf_splat(-0.0f);
    vf r, size = (vf)((vi)x ^ sign);
    vf power = power_of_2(split_exponent(vf_max(-2.0f * size, vf_splat(-40.0f)), &r));
    vf e = power * (vf_exp_tail(r) * r * r + r) + (power - 1.0f);
    return (vf)((vi)(-e / (2.0f + e)) | sign);
}

#if LOPT_BF16
/* Rounds as bf16.h does; the lower half is 0. */
#if VL != 16
INLINE vu vf_round_bf16(vf x) {
    vu bits = (vu)x, magnitude = bits & 0x7fffffffu;
    vu is_nan = (vu)(magnitude > 0x7f800000u), is_tiny = (vu)(magnitude < 0x00800000u);
    vu rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    rounded = (rounded & ~is_nan) | ((bits | 0x400000u) & is_nan);
    return ((rounded & ~is_tiny) | (bits & 0x80000000u & is_tiny)) & 0xffff0000u;
}
#endif

/* low[i] and high[i] side by side in the 32 bits of result[i]. */
INLINE vu vf_pair_bf16(vf low, vf high) {
#if VL == 16
    const __m512i order =
        _mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a, 0x190009, 0x180008, 0x170007,
                         0x160006, 0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
    __m512bh both = _mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    return (vu)_mm512_permutexvar_epi16(order, (__m512i)both);
#else
    return vf_round_bf16(high) | vf_round_bf16(low) >> 16;
#endif
}

INLINE vu splat_pair(const float *pair) {
    uint32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return bits - (vu){0};
}

/* sum + high a x high b + low a x low b; the products are exact. */
INLINE vf add_products(vf sum, vu a, vu b) {
#if VL == 16
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    sum += (vf)(a & 0xffff0000u) * (vf)(b & 0xffff0000u);
    return sum + (vf)(a << 16) * (vf)(b << 16);
#endif
}
#endif

/* Sum of the lanes in a fixed order. */
INLINE float lane_sum(vf x) {
#if VL == 16 && defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)x);
#else
    float t[VL];
    memcpy(t, &x, sizeof t);
    for (int n = VL / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) t[i] += t[i + n];
    return t[0];
#endif
}

#endif
