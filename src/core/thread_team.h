/* SPDX-License-Identifier: Apache-2.0
 *
 * thread_team.h - threads that work on the chunks of something.
 *
 *     lopt__team *team = lopt__team_create(4);        4 threads, the caller's among them
 *     lopt__team_run_chunks(team, n_chunks, chunk, &work);     chunk(&work, i, thread), i = 0 .. n_chunks - 1
 *     lopt__team_destroy(team);
 *
 * Which thread gets which chunk, and when, is chance: chunks must not read what others write, and what
 * they make must not depend on the number of threads. Sums over chunks are kept by chunk and added in
 * the order of chunks afterwards. thread (0 .. size - 1) names scratch that no other chunk uses at
 * that time.
 *
 * A team NULL is the caller alone, who takes the chunks in order; so does one chunk. Between runs the
 * threads sleep. They block all signals and compute in the caller's floating-point environment
 * (rounding, denormals). A process that was forked has none of them: it must not use the team. */
#ifndef LOPT_TEAM_H
#define LOPT_TEAM_H

#include <stddef.h>
#include <stdint.h>

typedef struct lopt__team lopt__team;
typedef void lopt__chunk_function(void *work, int64_t chunk, int thread);

#ifdef LOPT_EMBEDDED /* in the exported C header the caller is alone */
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
lopt__team *lopt__team_create(int n_threads); /* NULL: out of memory or of threads */
void lopt__team_destroy(lopt__team *team);
int lopt__team_n_threads(const lopt__team *team);
void lopt__team_run_chunks(lopt__team *team, int64_t n_chunks, lopt__chunk_function *chunk, void *work);
#endif

#endif
