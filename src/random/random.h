/* SPDX-License-Identifier: Apache-2.0
 *
 * random.h - addressed random numbers: PCG (O'Neill 2014, pcg64) behind a C interface.
 *
 * Numbers are addressed, not drawn in turn: a stream is a pure function of an address, so any process can
 * regenerate any number, and results do not depend on how work is spread.
 *
 *     random_stream r;
 *     random_open(&r, (random_address){seed, RANDOM_NOISE, particle, draw, 0});
 *     random_normals(&r, n, eps);
 *
 * The address is hashed into PCG's 128-bit state and 127-bit stream number, so that neighbouring
 * addresses give unrelated streams. random_advance skips n 64-bit outputs in O(log n).
 *
 * random_normals gives numbers 2k and 2k + 1 by output k of the stream (Box and Muller 1958, from 31
 * and 32 bits of it), so a slice [a, b) with even a is had by random_advance(r, a / 2). Its bits are
 * the same on every machine and compiler: +, -, x and sqrt of floats, in a written order. A number is
 * within 3e-7 of the pair's radius of what exact functions of the same uniforms give, and the law is
 * the normal one out to 6; none is beyond 6.67, where 3e-11 of it lies.
 * random_normal and random_truncated_normals work in double with libm: two outputs a number tried. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a number is used for. Values are part of "same seed, same bits": append, never renumber. */
typedef enum random_purpose {
    RANDOM_THETA = 1,  /* initial theta: block */
    RANDOM_NOISE,      /* perturbation: particle, draw */
    RANDOM_TASK,       /* which task, its sampled parameters: particle, trajectory */
    RANDOM_INIT,       /* initial inner parameters: particle, trajectory */
    RANDOM_LENGTH,     /* planned length: particle, trajectory */
    RANDOM_OFFSET,     /* initial inner step: particle */
    RANDOM_BATCH,      /* minibatch: particle, trajectory, inner step */
    RANDOM_META_BATCH, /* batch of another split for the meta-loss: particle, trajectory, inner step */
    RANDOM_SPLIT,      /* permutation that splits a data set */
    RANDOM_EVAL,       /* evaluation: task, seed, ... */
    RANDOM_TEST,
    RANDOM_SEARCH,     /* hyperparameters of a random search: row */
    RANDOM_STRUCTURE,  /* sampled structure of a task: particle, outer step, entry; when to renew it */
    RANDOM_DATA        /* a synthetic data set: which kind */
} random_purpose;

typedef struct random_address {
    uint64_t seed;
    random_purpose purpose;
    uint64_t a, b, c;
} random_address;

typedef struct random_stream {
    uint64_t word[4];
} random_stream;

void random_open(random_stream *r, random_address address);
void random_seed(random_stream *r, uint64_t seed, uint64_t stream); /* pcg64(seed, stream), for tests */
uint64_t random_u64(random_stream *r);
void random_fill(random_stream *r, size_t n, uint64_t *out); /* the next n of them */
uint64_t random_below(random_stream *r, uint64_t n); /* uniform in 0..n-1, unbiased; n >= 1 */
/* The same count times, as rows of a table of n <= 2^31. */
void random_rows(random_stream *r, uint64_t n, size_t count, int32_t *out);
double random_uniform(random_stream *r);         /* [0, 1), 53 bits */
double random_normal(random_stream *r);          /* two outputs a number */
void random_normals(random_stream *r, size_t n, float *out);
/* Standard normal truncated to [-2, 2] by rejection (spec 1.8, TN), times scale. */
void random_truncated_normals(random_stream *r, float scale, size_t n, float *out);
void random_advance(random_stream *r, uint64_t n);

#ifdef __cplusplus
}
#endif
#endif
