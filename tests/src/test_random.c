/* SPDX-License-Identifier: Apache-2.0
 *
 * test_random.c - PCG against its published vectors, addresses, and the laws of the draws. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rng/normal_pairs.h"
#include "rng/rng.h"

static lopt_rng_stream at(uint64_t seed, lopt_rng_purpose purpose, uint64_t a, uint64_t b, uint64_t c) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){seed, purpose, a, b, c});
    return r;
}

/* First outputs of pcg64(42, 54), from the PCG distribution's test of known outputs. */
Test(random, published_vectors) {
    lopt_rng_stream r;
    lopt_rng_seed_stream(&r, 42, 54);
    static const uint64_t known[] = {0x86b1da1d72062b68u, 0x1304aa46c9853d39u, 0xa3670e9e0dd50358u,
                                     0xf9090e529a7dae00u, 0xc85b9fd837996f2cu, 0x606121f8e3919196u};
    for (int i = 0; i < 6; i++) {
        uint64_t x = lopt_rng_draw_u64(&r);
        cr_assert(x == known[i], "output %d is %016lx, published %016lx", i, x, known[i]);
    }
}

Test(random, an_address_is_a_function) {
    lopt_rng_stream x = at(7, LOPT_RNG_NOISE, 1, 2, 3), y = at(7, LOPT_RNG_NOISE, 1, 2, 3);
    for (int i = 0; i < 100; i++) cr_assert(lopt_rng_draw_u64(&x) == lopt_rng_draw_u64(&y));
}

Test(random, every_part_of_an_address_counts) {
    lopt_rng_stream r[] = {at(7, LOPT_RNG_NOISE, 1, 2, 3), at(8, LOPT_RNG_NOISE, 1, 2, 3),
                           at(7, LOPT_RNG_TASK, 1, 2, 3),  at(7, LOPT_RNG_NOISE, 2, 1, 3),
                           at(7, LOPT_RNG_NOISE, 1, 3, 2), at(7, LOPT_RNG_NOISE, 1, 2, 4)};
    uint64_t first[6];
    for (int i = 0; i < 6; i++) first[i] = lopt_rng_draw_u64(&r[i]);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++) cr_assert(first[i] != first[j], "addresses %d and %d collide", i, j);
}

/* Neighbouring addresses must not be correlated: the mean of products of their uniforms is that of
 * independent ones, within five standard errors. */
Test(random, neighbouring_addresses_are_uncorrelated) {
    const int n = 20000;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        lopt_rng_stream x = at(1, LOPT_RNG_NOISE, 5, (uint64_t)i, 0), y = at(1, LOPT_RNG_NOISE, 5, (uint64_t)i + 1, 0);
        sum += (lopt_rng_draw_uniform(&x) - 0.5) * (lopt_rng_draw_uniform(&y) - 0.5);
    }
    double z = sum / n / (1.0 / 12) * sqrt(n);
    cr_assert(fabs(z) < 5, "z = %g", z);
}

Test(random, advance_skips) {
    lopt_rng_stream x = at(3, LOPT_RNG_TEST, 0, 0, 0), y = x;
    for (int i = 0; i < 1000; i++) lopt_rng_draw_u64(&x);
    lopt_rng_skip_outputs(&y, 1000);
    cr_assert(lopt_rng_draw_u64(&x) == lopt_rng_draw_u64(&y));
}

Test(random, fill_gives_the_next_outputs) {
    static const size_t sizes[] = {0, 1, 127, 128, 129, 130, 1000};
    uint64_t out[1000];
    for (int k = 0; k < 7; k++) {
        lopt_rng_stream x = at(3, LOPT_RNG_TEST, 0, 0, 0), y = x;
        lopt_rng_fill_u64(&x, sizes[k], out);
        for (size_t i = 0; i < sizes[k]; i++)
            cr_assert(out[i] == lopt_rng_draw_u64(&y), "output %zu of %zu", i, sizes[k]);
        cr_assert(lopt_rng_draw_u64(&x) == lopt_rng_draw_u64(&y), "the one after %zu", sizes[k]);
    }
}

/* Of any even begin and any length, around the size of the pieces that they are made in. */
Test(random, a_slice_of_normals_is_addressable) {
    enum { N = 1025 }; /* one more than is made at a time */
    float whole[N], part[N];
    const lopt_rng_stream start = at(3, LOPT_RNG_TEST, 1, 0, 0);
    lopt_rng_stream x = start;
    lopt_rng_fill_normals(&x, N, whole);
    for (size_t begin = 0; begin < N; begin += 38)
        for (size_t n = 0; begin + n <= N; n += 85) {
            lopt_rng_stream y = start;
            lopt_rng_skip_outputs(&y, begin / 2);
            lopt_rng_fill_normals(&y, n, part);
            for (size_t i = 0; i < n; i++) cr_assert(part[i] == whole[begin + i], "number %zu from %zu", i, begin);
        }
}

static uint32_t bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* Recorded with gcc 12 on x86-64. Digest: FNV-1a by words. */
Test(random, normals_have_the_same_bits_everywhere) {
    enum { N = 100000 };
    static float x[N];
    static const uint32_t first[] = {0xbf53efcb, 0xbf121e9a, 0x3f90579f, 0xbe870713,
                                     0xbd1dfd66, 0x3e10bccd, 0x3fa97f7f, 0x3fc1e0b3};
    lopt_rng_stream r = at(7, LOPT_RNG_NOISE, 1, 2, 3);
    lopt_rng_fill_normals(&r, N, x);
    for (int i = 0; i < 8; i++)
        cr_expect(bits(x[i]) == first[i], "number %d is %a, bits 0x%08x", i, (double)x[i], bits(x[i]));
    uint64_t digest = 0xcbf29ce484222325u;
    for (int i = 0; i < N; i++) digest = (digest ^ bits(x[i])) * 0x100000001b3u;
    cr_assert(digest == 0x5a05dad862c8774eu, "digest 0x%016lx", digest);
}

/* Corners, which no stream is likely to meet, and outputs at random. */
Test(random, every_build_gives_the_same_bits) {
    enum { N = LOPT_RNG_PAIRS };
    uint64_t output[N] = {0, ~0ull, 0x7fffffffull << 33, 0x80000000, 0x7fffffff, 1ull << 63};
    float right[2 * N], out[2 * N];
    lopt_rng_stream r = at(4, LOPT_RNG_TEST, 9, 0, 0);
    lopt_rng_pairs *build;
    lopt_rng_fill_u64(&r, N - 6, output + 6);
    lopt_rng_pairs_portable(N, output, right);
    for (int i = 0; i < 2 * N; i++) cr_assert(isfinite(right[i]) && fabsf(right[i]) < 6.67f, "%g", (double)right[i]);
    for (int k = 0; (build = lopt_rng_pairs_usable(k)); k++)
        for (int n = 1; n <= N; n += 73) {
            memset(out, 0, sizeof out);
            build(n, output, out);
            cr_assert(memcmp(out, right, sizeof(float) * 2 * (size_t)n) == 0, "build %d, %d", k, n);
        }
    cr_assert(lopt_rng_pairs_usable(9) == NULL);
}

Test(random, normals_are_accurate) {
    enum { N = 100000 };
    static float x[2 * N];
    double worst = 0;
    lopt_rng_stream r = at(5, LOPT_RNG_TEST, 5, 0, 0), raw = r;
    lopt_rng_fill_normals(&r, 2 * N, x);
    for (int i = 0; i < N; i++) {
        uint64_t out = lopt_rng_draw_u64(&raw);
        float u = ((float)(out >> 33) + 0.5f) * 0x1p-31f;
        double radius = sqrt(-2 * log((double)u));
        double angle = M_PI / 4 * ((double)((int32_t)(uint32_t)out >> 2) * 0x1p-29);
        double a = out & 1 ? sin(angle) : cos(angle), b = out & 1 ? cos(angle) : sin(angle);
        double sign = out & 2 ? -radius : radius;
        worst = fmax(worst, fabs((double)x[2 * i] - sign * a) / radius);
        worst = fmax(worst, fabs((double)x[2 * i + 1] - sign * b) / radius);
    }
    cr_assert(worst < 3e-7 && worst > 0, "%g of the radius", worst);
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov: sqrt(n) D > 2.2 has probability 1e-4. */
Test(random, normals_have_their_distribution) {
    enum { N = 1000000 };
    static float x[N];
    double d = 0;
    lopt_rng_stream r = at(6, LOPT_RNG_TEST, 6, 0, 0);
    lopt_rng_fill_normals(&r, N, x);
    qsort(x, N, sizeof *x, ascending);
    for (int i = 0; i < N; i++) {
        double below = 0.5 * erfc(-(double)x[i] * M_SQRT1_2);
        d = fmax(d, fmax(below - (double)i / N, (double)(i + 1) / N - below));
    }
    cr_assert(d * sqrt(N) < 2.2, "sqrt(n) D = %g", d * sqrt(N));
}

/* Of ten million, those beyond k: their expected number within five deviations of it. */
Test(random, normals_have_their_tails) {
    enum { N = 100000, TIMES = 100 };
    static float x[N];
    double beyond[2][6] = {{0}};
    lopt_rng_stream r = at(8, LOPT_RNG_TEST, 7, 0, 0);
    for (int t = 0; t < TIMES; t++) {
        lopt_rng_fill_normals(&r, N, x);
        for (int i = 0; i < N; i++)
            for (int k = 1; k < 6 && fabsf(x[i]) > (float)k; k++) beyond[x[i] > 0][k]++;
    }
    for (int side = 0; side < 2; side++)
        for (int k = 1; k < 6; k++) {
            double expected = 0.5 * erfc(k * M_SQRT1_2) * N * TIMES;
            cr_assert(fabs(beyond[side][k] - expected) < 5 * sqrt(expected), "%d: %g, expected %g", side ? k : -k,
                      beyond[side][k], expected);
        }
}

/* The numbers of a pair, and of neighbours: products of them and of their squares. */
Test(random, normals_are_uncorrelated) {
    enum { N = 1000000 };
    static float x[N];
    lopt_rng_stream r = at(9, LOPT_RNG_TEST, 8, 0, 0);
    lopt_rng_fill_normals(&r, N, x);
    for (int parity = 0; parity < 2; parity++) {
        double product = 0, squares = 0, n = N / 2 - 1;
        for (int i = parity; i + 1 < N - 1 + parity; i += 2) {
            double a = x[i], b = x[i + 1];
            product += a * b, squares += (a * a - 1) * (b * b - 1) / 2;
        }
        cr_assert(fabs(product / sqrt(n)) < 5 && fabs(squares / sqrt(n)) < 5, "parity %d: %g %g", parity,
                  product / sqrt(n), squares / sqrt(n));
    }
}

Test(random, normals_have_their_moments) {
    enum { N = 200000 };
    static float x[N];
    lopt_rng_stream r = at(11, LOPT_RNG_TEST, 2, 0, 0);
    lopt_rng_fill_normals(&r, N, x);
    double m1 = 0, m2 = 0, m4 = 0, beyond3 = 0;
    for (int i = 0; i < N; i++) {
        double v = x[i];
        m1 += v, m2 += v * v, m4 += v * v * v * v, beyond3 += fabs(v) > 3;
    }
    cr_assert(fabs(m1 / N) < 5 / sqrt(N), "mean %g", m1 / N);
    cr_assert(fabs(m2 / N - 1) < 5 * sqrt(2.0 / N), "variance %g", m2 / N);
    cr_assert(fabs(m4 / N - 3) < 5 * sqrt(96.0 / N), "fourth moment %g", m4 / N);
    cr_assert(fabs(beyond3 / N - 0.0026998) < 5 * sqrt(0.0027 / N), "share beyond 3: %g", beyond3 / N);
}

/* Standard deviation of a standard normal truncated to [-2, 2]: 0.87962566. */
Test(random, truncated_normals_have_their_law) {
    enum { N = 100000 };
    static float x[N];
    lopt_rng_stream r = at(12, LOPT_RNG_TEST, 3, 0, 0);
    lopt_rng_fill_truncated_normals(&r, 0.5f, N, x);
    double m2 = 0, most = 0;
    for (int i = 0; i < N; i++) {
        m2 += (double)x[i] * x[i];
        if (fabs(x[i]) > most) most = fabs(x[i]);
    }
    cr_assert(most <= 1.0 && most > 0.99, "largest %g", most);
    cr_assert(fabs(sqrt(m2 / N) - 0.5 * 0.87962566) < 0.003, "deviation %g", sqrt(m2 / N));
}

Test(random, rows_are_draws_below) {
    int32_t rows[50];
    lopt_rng_stream x = at(13, LOPT_RNG_TEST, 5, 0, 0), y = x;
    lopt_rng_draw_rows(&x, 48000, 50, rows);
    for (int i = 0; i < 50; i++) cr_assert((uint64_t)rows[i] == lopt_rng_draw_below(&y, 48000));
    cr_assert(lopt_rng_draw_u64(&x) == lopt_rng_draw_u64(&y));
}

Test(random, below_is_uniform_and_in_range) {
    int count[7] = {0};
    lopt_rng_stream r = at(13, LOPT_RNG_TEST, 4, 0, 0);
    for (int i = 0; i < 70000; i++) count[lopt_rng_draw_below(&r, 7)]++;
    for (int i = 0; i < 7; i++) cr_assert(abs(count[i] - 10000) < 500, "%d came %d times", i, count[i]);
}
