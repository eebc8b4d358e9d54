/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16.h - bfloat16: the upper half of a float. Rounded to nearest, ties to even; numbers too small for a
 * normal float become 0, as in the instructions of AVX512-BF16. NaN stays NaN. */
#ifndef LOPT_BF16_H
#define LOPT_BF16_H

#include <stdint.h>
#include <string.h>

static inline uint32_t lopt__round_to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return bits >> 16 | 0x40;
    if (magnitude < 0x00800000) return bits >> 16 & 0x8000;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* Two bf16 in one word: `low` in the lower half, `high` in the upper. Products of two pairs go half by half. */
static inline uint32_t lopt__pack_bf16_pair(float low, float high) {
    return lopt__round_to_bf16(high) << 16 | lopt__round_to_bf16(low);
}

#endif
