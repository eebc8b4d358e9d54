/* SPDX-License-Identifier: Apache-2.0
 *
 * outer_loop.h - rank 0: outer steps until the last one, a request to stop, or the loss of ranks.
 *
 *     mt_coordinator_open(&c, session, theta, worker, &err);
 *     mt_assign_worker(worker, step); mt_assign_ranks(&c, step, &err);
 *     status = mt_run_outer_steps(&c, step);
 *     mt_coordinator_close(&c); */
#ifndef MT_OUTER_LOOP_H
#define MT_OUTER_LOOP_H

#include "run/coordinator.h"

int mt_coordinator_open(mt_coordinator *c, mt_session *s, mt_meta_theta *theta, mt_worker *worker, lopt_error *err);
void mt_coordinator_close(mt_coordinator *c); /* fine on a half-open one */
/* Returns an exit status, prints what failed, and leaves the status in DIR/status.json. */
int mt_run_outer_steps(mt_coordinator *c, int64_t resume_step);

#endif
