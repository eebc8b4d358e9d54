/* SPDX-License-Identifier: Apache-2.0
 *
 * test_random.c - PCG against its published vectors, addresses, and the laws of the draws. */
#include <criterion/criterion.h>
#include <math.h>

#include "random/random.h"

static random_stream at(uint64_t seed, random_purpose purpose, uint64_t a, uint64_t b, uint64_t c) {
    random_stream r;
    random_open(&r, (random_address){seed, purpose, a, b, c});
    return r;
}

/* First outputs of pcg64(42, 54), from the PCG distribution's test of known outputs. */
Test(random, published_vectors) {
    random_stream r;
    random_seed(&r, 42, 54);
    static const uint64_t known[] = {0x86b1da1d72062b68u, 0x1304aa46c9853d39u, 0xa3670e9e0dd50358u,
                                     0xf9090e529a7dae00u, 0xc85b9fd837996f2cu, 0x606121f8e3919196u};
    for (int i = 0; i < 6; i++) {
        uint64_t x = random_u64(&r);
        cr_assert(x == known[i], "output %d is %016lx, published %016lx", i, x, known[i]);
    }
}

Test(random, an_address_is_a_function) {
    random_stream x = at(7, RANDOM_NOISE, 1, 2, 3), y = at(7, RANDOM_NOISE, 1, 2, 3);
    for (int i = 0; i < 100; i++)
        cr_assert(random_u64(&x) == random_u64(&y));
}

Test(random, every_part_of_an_address_counts) {
    random_stream r[] = {at(7, RANDOM_NOISE, 1, 2, 3), at(8, RANDOM_NOISE, 1, 2, 3),
                         at(7, RANDOM_TASK, 1, 2, 3),  at(7, RANDOM_NOISE, 2, 1, 3),
                         at(7, RANDOM_NOISE, 1, 3, 2), at(7, RANDOM_NOISE, 1, 2, 4)};
    uint64_t first[6];
    for (int i = 0; i < 6; i++)
        first[i] = random_u64(&r[i]);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            cr_assert(first[i] != first[j], "addresses %d and %d collide", i, j);
}

/* Neighbouring addresses must not be correlated: the mean of products of their uniforms is that of
 * independent ones, within five standard errors. */
Test(random, neighbouring_addresses_are_uncorrelated) {
    const int n = 20000;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        random_stream x = at(1, RANDOM_NOISE, 5, (uint64_t)i, 0),
                      y = at(1, RANDOM_NOISE, 5, (uint64_t)i + 1, 0);
        sum += (random_uniform(&x) - 0.5) * (random_uniform(&y) - 0.5);
    }
    double z = sum / n / (1.0 / 12) * sqrt(n);
    cr_assert(fabs(z) < 5, "z = %g", z);
}

Test(random, advance_skips) {
    random_stream x = at(3, RANDOM_TEST, 0, 0, 0), y = x;
    for (int i = 0; i < 1000; i++)
        random_u64(&x);
    random_advance(&y, 1000);
    cr_assert(random_u64(&x) == random_u64(&y));
}

Test(random, a_slice_of_normals_is_addressable) {
    float whole[101], part[50];
    random_stream x = at(3, RANDOM_TEST, 1, 0, 0), y = x;
    random_normals(&x, 101, whole);
    random_advance(&y, 40);
    random_normals(&y, 50, part);
    for (int i = 0; i < 50; i++)
        cr_assert(part[i] == whole[40 + i], "number %d", 40 + i);
}

Test(random, normals_have_their_moments) {
    enum { N = 200000 };
    static float x[N];
    random_stream r = at(11, RANDOM_TEST, 2, 0, 0);
    random_normals(&r, N, x);
    double m1 = 0, m2 = 0, m4 = 0, beyond3 = 0;
    for (int i = 0; i < N; i++) {
        double v = x[i];
        m1 += v, m2 += v * v, m4 += v * v * v * v, beyond3 += fabs(v) > 3;
    }
    cr_assert(fabs(m1 / N) < 5 / sqrt(N), "mean %g", m1 / N);
    cr_assert(fabs(m2 / N - 1) < 5 * sqrt(2.0 / N), "variance %g", m2 / N);
    cr_assert(fabs(m4 / N - 3) < 5 * sqrt(96.0 / N), "fourth moment %g", m4 / N);
    cr_assert(fabs(beyond3 / N - 0.0026998) < 5 * sqrt(0.0027 / N), "share beyond 3: %g",
              beyond3 / N);
}

/* Standard deviation of a standard normal truncated to [-2, 2]: 0.87962566. */
Test(random, truncated_normals_have_their_law) {
    enum { N = 100000 };
    static float x[N];
    random_stream r = at(12, RANDOM_TEST, 3, 0, 0);
    random_truncated_normals(&r, 0.5f, N, x);
    double m2 = 0, most = 0;
    for (int i = 0; i < N; i++) {
        m2 += (double)x[i] * x[i];
        if (fabs(x[i]) > most)
            most = fabs(x[i]);
    }
    cr_assert(most <= 1.0 && most > 0.99, "largest %g", most);
    cr_assert(fabs(sqrt(m2 / N) - 0.5 * 0.87962566) < 0.003, "deviation %g", sqrt(m2 / N));
}

Test(random, below_is_uniform_and_in_range) {
    int count[7] = {0};
    random_stream r = at(13, RANDOM_TEST, 4, 0, 0);
    for (int i = 0; i < 70000; i++)
        count[random_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        cr_assert(abs(count[i] - 10000) < 500, "%d came %d times", i, count[i]);
}
