/* SPDX-License-Identifier: Apache-2.0
 *
 * pcg.cpp - rng.h on top of pcg_random.hpp. The only C++ of the project.
 *
 * The PCG header includes <iostream>, whose static initialiser would make libstdc++ a dependency of
 * everybody who links liblopt.a with a C compiler. Declaring that header as already seen removes it;
 * tests/test_layers.sh checks that no C++ symbol is left. */
#include <istream>
#include <ostream>
#define _GLIBCXX_IOSTREAM 1
#include <pcg_random.hpp>

#include <math.h>
#include <string.h>

#include "rng/rng.h"

static_assert(sizeof(pcg64) == sizeof(lopt_rng_stream), "a stream is PCG's state and nothing else");

static inline pcg64 load_stream(const lopt_rng_stream *r) {
    pcg64 g;
    memcpy(static_cast<void *>(&g), r, sizeof g);
    return g;
}

static inline void store_stream(lopt_rng_stream *r, const pcg64 &g) {
    memcpy(static_cast<void *>(r), &g, sizeof g);
}

/* Finaliser of MurmurHash3 (Appleby, public domain): every input bit moves every output bit. */
static inline uint64_t mix_hash_bits(uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

/* Absorbs one word of an address. The odd constants keep equal words at different places apart. */
static inline uint64_t absorb_word(uint64_t h, uint64_t word, uint64_t odd) {
    return mix_hash_bits(h + odd * (word + 0x9e3779b97f4a7c15ULL));
}

static uint64_t hash_address(const lopt_rng_address *at, uint64_t lane) {
    uint64_t h = mix_hash_bits(at->seed + lane * 0x9e3779b97f4a7c15ULL);
    h = absorb_word(h, static_cast<uint64_t>(at->purpose), 0xd6e8feb86659fd93ULL);
    h = absorb_word(h, at->a, 0xa0761d6478bd642fULL);
    h = absorb_word(h, at->b, 0xe7037ed1a0b428dbULL);
    return absorb_word(h, at->c, 0x8ebc6af09c88c6e3ULL);
}

/* Multiply-shift with rejection (Lemire 2019): unbiased, and a division only when it may reject. */
static inline uint64_t uniform_below(pcg64 &g, uint64_t n) {
    unsigned __int128 m = static_cast<unsigned __int128>(g()) * n;
    if (static_cast<uint64_t>(m) < n) {
        uint64_t least = (0 - n) % n;
        while (static_cast<uint64_t>(m) < least) m = static_cast<unsigned __int128>(g()) * n;
    }
    return static_cast<uint64_t>(m >> 64);
}

extern "C" {

void lopt_rng_open_stream(lopt_rng_stream *r, lopt_rng_address at) {
    typedef pcg64::state_type wide;
    wide state = static_cast<wide>(hash_address(&at, 1)) << 64 | hash_address(&at, 2);
    wide stream = static_cast<wide>(hash_address(&at, 3)) << 64 | hash_address(&at, 4);
    store_stream(r, pcg64(state, stream));
}

void lopt_rng_seed_stream(lopt_rng_stream *r, uint64_t seed, uint64_t stream) {
    store_stream(r, pcg64(seed, stream));
}

uint64_t lopt_rng_draw_u64(lopt_rng_stream *r) {
    pcg64 g = load_stream(r);
    uint64_t x = g();
    store_stream(r, g);
    return x;
}

/* Each state depends on the one before. Three sequences, a third of n apart, are independent, so they overlap. */
void lopt_rng_fill_u64(lopt_rng_stream *r, size_t n, uint64_t *out) {
    pcg64 g = load_stream(r), second = g, third = g;
    size_t part = n >= 128 ? n / 3 : 0;
    second.advance(part);
    third.advance(2 * part);
    for (size_t i = 0; i < part; i++) {
        out[i] = g();
        out[part + i] = second();
        out[2 * part + i] = third();
    }
    for (size_t i = 3 * part; i < n; i++) out[i] = third();
    store_stream(r, third);
}

uint64_t lopt_rng_draw_below(lopt_rng_stream *r, uint64_t n) {
    pcg64 g = load_stream(r);
    uint64_t x = uniform_below(g, n);
    store_stream(r, g);
    return x;
}

void lopt_rng_draw_rows(lopt_rng_stream *r, uint64_t n, size_t count, int32_t *out) {
    pcg64 g = load_stream(r);
    for (size_t i = 0; i < count; i++) out[i] = static_cast<int32_t>(uniform_below(g, n));
    store_stream(r, g);
}

double lopt_rng_draw_uniform(lopt_rng_stream *r) {
    return static_cast<double>(lopt_rng_draw_u64(r) >> 11) * 0x1p-53;
}

/* Two independent standard normals from two outputs (Box and Muller 1958). */
static void normal_pair(pcg64 &g, double pair[2]) {
    double u = (static_cast<double>(g() >> 11) + 0.5) * 0x1p-53; /* (0, 1): log is finite */
    double angle = static_cast<double>(g() >> 11) * (0x1p-53 * 6.283185307179586476925286766559);
    double radius = sqrt(-2.0 * log(u));
    pair[0] = radius * cos(angle);
    pair[1] = radius * sin(angle);
}

double lopt_rng_draw_normal(lopt_rng_stream *r) {
    pcg64 g = load_stream(r);
    double pair[2];
    normal_pair(g, pair);
    store_stream(r, g);
    return pair[0];
}

void lopt_rng_fill_truncated_normals(lopt_rng_stream *r, float scale, size_t n, float *out) {
    pcg64 g = load_stream(r);
    double pair[2];
    for (size_t i = 0; i < n;) {
        normal_pair(g, pair);
        for (int k = 0; k < 2 && i < n; k++)
            if (fabs(pair[k]) <= 2.0) out[i++] = scale * static_cast<float>(pair[k]);
    }
    store_stream(r, g);
}

void lopt_rng_skip_outputs(lopt_rng_stream *r, uint64_t n) {
    pcg64 g = load_stream(r);
    g.advance(n);
    store_stream(r, g);
}

} /* extern "C" */
