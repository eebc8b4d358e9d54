/* SPDX-License-Identifier: Apache-2.0
 *
 * test_noise.c - the pieces that theta's noise is made in: they hold the trained numbers, each once,
 * and each piece has numbers of its own. */
#include <criterion/criterion.h>
#include <math.h>

#include "whole_noise.h"

enum { N = 5000 };

/* Calls of mt_noise_chunk until none is left; seen[i]: how many pieces hold i. */
static int collect(const mt_noise *noise, unsigned char *seen) {
    int pieces = 0;
    size_t end = 0;
    memset(seen, 0, N);
    for (mt_chunk p = mt_noise_chunk(noise, 0); p.n > 0; p = mt_noise_chunk(noise, p.begin + p.n)) {
        cr_assert(p.n <= MT_NOISE_CHUNK && p.begin >= end && p.begin + p.n <= noise->n);
        for (size_t i = 0; i < p.n; i++) seen[p.begin + i]++;
        end = p.begin + p.n;
        pieces++;
    }
    return pieces;
}

Test(noise, pieces_hold_what_is_trained) {
    static unsigned char trained[N], seen[N];
    /* ends of frozen ranges, and how many pieces the rest makes */
    static const struct {
        size_t from, to;
        int pieces;
    } frozen[] = {{0, 0, 5},    {0, N, 0},    {0, 1, 5},    {N - 1, N, 5},   {1, N - 1, 2}, {1, 2, 6},
                  {1024, N, 1}, {1025, N, 2}, {0, 1024, 4}, {3000, 3001, 5}, {7, 4000, 2}};
    mt_noise noise = {1, 0.1f, N, trained};
    for (size_t k = 0; k < sizeof frozen / sizeof *frozen; k++) {
        memset(trained, 1, N);
        memset(trained + frozen[k].from, 0, frozen[k].to - frozen[k].from);
        int pieces = collect(&noise, seen);
        cr_assert(memcmp(trained, seen, N) == 0, "frozen: %zu to %zu", frozen[k].from, frozen[k].to);
        cr_assert(pieces == frozen[k].pieces, "frozen: %zu to %zu: %d pieces", frozen[k].from, frozen[k].to, pieces);
    }
}

/* Standard deviations and products of all, of neighbours and of numbers a piece apart. */
Test(noise, is_normal_and_independent) {
    static unsigned char trained[N];
    static float delta[N];
    double squares = 0, near = 0, far = 0;
    mt_noise noise = {1, 0.5f, N, trained};
    memset(trained, 1, N);
    whole_noise(&noise, 3, 4, delta);
    for (int i = 0; i < N; i++) {
        squares += (double)delta[i] * delta[i] / 0.25 / N;
        near += (double)delta[i] * delta[(i + 1) % N] / 0.25;
        far += (double)delta[i] * delta[(i + MT_NOISE_CHUNK) % N] / 0.25;
    }
    cr_assert(fabs(squares - 1) < 5 * sqrt(2.0 / N), "variance %g", squares);
    cr_assert(fabs(near) < 5 * sqrt(N) && fabs(far) < 5 * sqrt(N), "%g, %g", near, far);
}

Test(noise, every_particle_and_draw_has_its_own) {
    static unsigned char trained[N];
    static float delta[3][N];
    mt_noise noise = {1, 0.1f, N, trained};
    memset(trained, 1, N);
    trained[2000] = 0;
    whole_noise(&noise, 3, 4, delta[0]);
    whole_noise(&noise, 4, 3, delta[1]);
    whole_noise(&noise, 3, 5, delta[2]);
    for (int i = 0; i < N; i++) {
        cr_assert((delta[0][i] == 0) == (i == 2000), "number %d", i);
        cr_assert(i == 2000 || (delta[0][i] != delta[1][i] && delta[0][i] != delta[2][i]));
    }
}
