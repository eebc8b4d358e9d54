/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient_shares.h - the gradient of theta, computed by all ranks, a share of its chunks each.
 *
 * Rank 0 makes the plan from the reports and sends it down the tree (PLAN); each rank computes its chunks for all
 * particles in order and sends them to rank 0 (SLICE). Where the noise is summed since the reset, the sums of a chunk
 * are kept by the rank that computes it: rank 0 collects them for a checkpoint and hands them out after it read one
 * (SUMS). Which chunks a rank has follows from its place among the living, until ranks are removed; where chunks are
 * fewer than ranks, the first ranks have one each. Bits do not depend on who computes a chunk. */
#ifndef MT_GRADIENT_SHARES_H
#define MT_GRADIENT_SHARES_H

#include "es/es_gradient.h"
#include "run/session.h"

typedef struct mt_gradient_shares {
    mt_session *session; /* borrowed */
    mt_es_gradient es;   /* rank 0: all of it; others: of their share, or nothing */
    mt_noise noise;
    int64_t trainable;       /* parameters */
    int n_shares;            /* one each for the first so many of the living */
    int64_t window;          /* of the plan */
    size_t next;             /* chunk of this rank's share, to be computed; es.last: none */
    int64_t pending;         /* rank 0: shares to come, its own included */
    double noise_seconds;    /* CPU time to add one parameter's noise of one particle, running mean */
    double gradient_seconds; /* wall time of the whole, running mean */
} mt_gradient_shares;

int mt_gradient_shares_open(mt_gradient_shares *g, mt_session *s, mt_noise noise, lopt_error *err);
void mt_gradient_shares_close(mt_gradient_shares *g);
/* This rank's share, as the living are now; the noise since the reset is zero in it. */
int mt_assign_shares(mt_gradient_shares *g, lopt_error *err);

/* A chunk of this rank's share, if a plan is there; then what came out goes to rank 0. An mt_work. */
int mt_compute_share(void *gradient_shares);

/* Rank 0: all chunks by the plan in es (mt_plan_gradient before, mt_finish_gradient after); 0 if a rank was lost. */
int mt_gather_gradient(mt_gradient_shares *g, int64_t window);
/* CPU seconds of all ranks for it, as measured. */
double mt_gradient_cpu_seconds(const mt_gradient_shares *g);

/* Noise since the reset: from rank 0, after a checkpoint was read; to it, before one is written. */
void mt_send_sums(mt_gradient_shares *g);
void mt_return_sums(mt_gradient_shares *g);

#endif
