/* SPDX-License-Identifier: Apache-2.0
 *
 * chunks.h - how an array is cut into chunks for threads (thread_team.h). The cut depends on the length alone, so
 * that sums over the chunks, in their order, do not depend on the number of threads. Arrays of fewer than 32,768
 * elements are one chunk. (The kernels cut tensors by kernels/tensor_chunks.h.) */
#ifndef LOPT_CHUNKS_H
#define LOPT_CHUNKS_H

#include <stdint.h>

#define LOPT__MAX_CHUNKS 64
#define LOPT__CHUNK_ELEMENTS 16384 /* approximate minimum per chunk */
#define LOPT__CHUNK_UNIT 512       /* chunks start at multiples of this */

typedef struct lopt__range {
    int64_t first, n;
} lopt__range;

/* Range i of `count` ranges that share n elements, as equal as whole units allow. */
static inline lopt__range lopt__cut_range(int64_t n, int64_t unit, int64_t i, int64_t count) {
    int64_t units = (n + unit - 1) / unit, end = units * (i + 1) / count * unit;
    lopt__range r = {.first = units * i / count * unit};
    r.n = (end < n ? end : n) - r.first;
    return r;
}

static inline int64_t lopt__n_chunks(int64_t n) {
    int64_t count = n / LOPT__CHUNK_ELEMENTS;
    return count < 1 ? 1 : count > LOPT__MAX_CHUNKS ? LOPT__MAX_CHUNKS : count;
}

static inline lopt__range lopt__chunk_range(int64_t n, int64_t i) {
    return lopt__cut_range(n, LOPT__CHUNK_UNIT, i, lopt__n_chunks(n));
}

#endif
