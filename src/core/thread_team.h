/* SPDX-License-Identifier: Apache-2.0
 *
 * thread_team.h - a team of threads that works on chunks.
 *
 *     lopt__team *team = lopt__team_create(4);        4 threads, the caller's among them
 *     lopt__team_run_chunks(team, n, chunk, &work);   chunk(&work, i, thread), i = 0 .. n - 1
 *     lopt__team_destroy(team);
 *
 * Which thread runs which chunk, and when, is not determined. A chunk must not read what another writes, and
 * results must not depend on the number of threads: sums are kept per chunk and added in the order of chunks
 * afterwards. `thread` (0 .. number of threads - 1) selects scratch that no other chunk uses at that time.
 *
 * With team NULL, or one chunk, the caller runs the chunks in order. Between runs the threads sleep. They block
 * all signals and compute in the caller's floating-point environment (rounding, denormals). A forked child has no
 * such threads and must not use the team. */
#ifndef LOPT_THREAD_TEAM_H
#define LOPT_THREAD_TEAM_H

#include <stddef.h>
#include <stdint.h>

typedef struct lopt__team lopt__team;
typedef void lopt__chunk_function(void *work, int64_t chunk, int thread);

#ifdef LOPT_EMBEDDED /* the exported C header has no threads */
static inline lopt__team *lopt__team_create(int n_threads) {
    (void)n_threads;
    return NULL;
}

static inline void lopt__team_destroy(lopt__team *team) {
    (void)team;
}

static inline void lopt__team_run_chunks(lopt__team *team, int64_t n_chunks, lopt__chunk_function *chunk, void *work) {
    (void)team;
    for (int64_t i = 0; i < n_chunks; i++) chunk(work, i, 0);
}
#else
lopt__team *lopt__team_create(int n_threads); /* NULL: no memory or no threads */
void lopt__team_destroy(lopt__team *team);
void lopt__team_run_chunks(lopt__team *team, int64_t n_chunks, lopt__chunk_function *chunk, void *work);
#endif

#endif
