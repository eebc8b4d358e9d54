/* SPDX-License-Identifier: Apache-2.0
 *
 * rng.h - addressed random numbers: PCG (O'Neill 2014, pcg64) behind a C interface.
 *
 * A stream is a pure function of an address, so that every process can regenerate every number, and results
 * do not depend on how work is distributed.
 *
 *     lopt_rng_stream r;
 *     lopt_rng_open_stream(&r, (lopt_rng_address){seed, LOPT_RNG_NOISE, particle, draw, 0});
 *     lopt_rng_fill_normals(&r, n, eps);
 *
 * The address is hashed into PCG's 128-bit state and 127-bit stream number, so that neighbouring
 * addresses give unrelated streams. lopt_rng_skip_outputs skips n 64-bit outputs in O(log n).
 *
 * lopt_rng_fill_normals gives numbers 2k and 2k + 1 by output k of the stream (Box and Muller 1958, from 31
 * and 32 bits of it), so numbers [a, b) with even a start after lopt_rng_skip_outputs(r, a / 2). Its bits are
 * the same on every machine and compiler: +, -, x and sqrt of floats, in a fixed order. The
 * error of a number, compared with exact functions of the same uniforms, is at most 3e-7 of the radius of its
 * pair. The distribution is normal out to 6 standard deviations; no number exceeds 6.67 (probability 3e-11).
 * lopt_rng_draw_normal and lopt_rng_fill_truncated_normals work in double with libm, two outputs for each number or
 * attempt. */
#ifndef LOPT_RNG_H
#define LOPT_RNG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a number is used for. Values are part of "same seed, same bits": append, never renumber. */
typedef enum lopt_rng_purpose {
    LOPT_RNG_THETA = 1,  /* initial theta: block */
    LOPT_RNG_NOISE,      /* perturbation: particle, draw */
    LOPT_RNG_TASK,       /* which task, its sampled parameters: particle, trajectory */
    LOPT_RNG_INIT,       /* initial inner parameters: particle, trajectory */
    LOPT_RNG_LENGTH,     /* planned length: particle, trajectory */
    LOPT_RNG_OFFSET,     /* initial inner step: particle */
    LOPT_RNG_BATCH,      /* minibatch: particle, trajectory, inner step */
    LOPT_RNG_META_BATCH, /* batch of another split for the meta-loss: particle, trajectory, inner step */
    LOPT_RNG_SPLIT,      /* permutation that splits a data set */
    LOPT_RNG_EVAL,       /* evaluation: task, seed, ... */
    LOPT_RNG_TEST,
    LOPT_RNG_SEARCH,    /* hyperparameters of a random search: row */
    LOPT_RNG_STRUCTURE, /* sampled structure of a task: particle, outer step, entry; when to renew it */
    LOPT_RNG_DATA,      /* a synthetic data set: which kind */
    LOPT_RNG_BOOTSTRAP  /* resampled scores: which aggregate */
} lopt_rng_purpose;

typedef struct lopt_rng_address {
    uint64_t seed;
    lopt_rng_purpose purpose;
    uint64_t a, b, c;
} lopt_rng_address;

typedef struct lopt_rng_stream {
    uint64_t word[4];
} lopt_rng_stream;

void lopt_rng_open_stream(lopt_rng_stream *r, lopt_rng_address address);
void lopt_rng_seed_stream(lopt_rng_stream *r, uint64_t seed, uint64_t stream); /* pcg64(seed, stream), for tests */
uint64_t lopt_rng_draw_u64(lopt_rng_stream *r);
void lopt_rng_fill_u64(lopt_rng_stream *r, size_t n, uint64_t *out); /* the next n of them */
uint64_t lopt_rng_draw_below(lopt_rng_stream *r, uint64_t n);        /* uniform in 0..n-1, unbiased; n >= 1 */
/* The same count times, as rows of a table of n <= 2^31. */
void lopt_rng_draw_rows(lopt_rng_stream *r, uint64_t n, size_t count, int32_t *out);
double lopt_rng_draw_uniform(lopt_rng_stream *r); /* [0, 1), 53 bits */
double lopt_rng_draw_normal(lopt_rng_stream *r);  /* two outputs a number */
void lopt_rng_fill_normals(lopt_rng_stream *r, size_t n, float *out);
/* Standard normal truncated to [-2, 2] by rejection, times scale. */
void lopt_rng_fill_truncated_normals(lopt_rng_stream *r, float scale, size_t n, float *out);
void lopt_rng_skip_outputs(lopt_rng_stream *r, uint64_t n);

#ifdef __cplusplus
}
#endif
#endif
