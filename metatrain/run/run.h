/* SPDX-License-Identifier: Apache-2.0
 *
 * run.h - a meta-training run from its first message to its last, on every rank.
 *
 *     mt_session_open(&s, transport, &err);
 *     rank 0:  s.cfg = ...; s.dir = ...;
 *              mt_start_run(&run, &s, resume_step, &err);      every rank is ready, or 0: nothing on disk has changed
 *              status = mt_finish_run(&run, resume_step);
 *              mt_dismiss_workers(&s, status);                 also where it did not start (handshake.h)
 *              mt_close_run(&run);
 *     others:  status = mt_run_worker(&s);
 *     mt_session_close(&s, status);
 *
 * Where to read on: outer_loop.c lists one outer step in order; coordinator.h and worker.h say what rank 0 and every
 * rank hold. A file of this folder uses those of the lines below it:
 *
 *     run             both roles
 *     outer_loop      rank 0: the loop
 *     recovery        rank 0: ranks are assigned, and lost
 *     step_sync, step_async, step_common
 *     worker          every rank: slices of work
 *     assignment, checkpointing, outputs, profile             rank 0's parts
 *     particle_queue, gradient_shares, validation             every rank's parts
 *     handshake, session, metrics, tensorboard, status_file, training_plot, run_dir */
#ifndef MT_RUN_H
#define MT_RUN_H

#include "run/outer_loop.h"

typedef struct mt_run {
    mt_meta_theta theta;
    mt_worker worker;
    mt_coordinator coordinator;
} mt_run;

/* Rank 0. resume_step: of a checkpoint in session->dir, or -1. */
int mt_start_run(mt_run *run, mt_session *s, int64_t resume_step, lopt_error *err);
int mt_finish_run(mt_run *run, int64_t resume_step);
void mt_close_run(mt_run *run); /* fine on a half-open one */

/* The others; returns the exit status. */
int mt_run_worker(mt_session *s);

#endif
