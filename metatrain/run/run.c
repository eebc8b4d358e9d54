/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c - see run.h. */
#include "run/run.h"

#include <stdlib.h>

#include "base/error.h"
#include "run/handshake.h"

int mt_start_run(mt_run *run, mt_session *s, int64_t resume_step, lopt_error *err) {
    mt_send_setup(s, resume_step);
    if (!mt_meta_theta_open(&run->theta, s->cfg, resume_step >= 0, err) ||
        !mt_worker_open(&run->worker, s, &run->theta, err) ||
        !mt_coordinator_open(&run->coordinator, s, &run->theta, &run->worker, err))
        return 0;
    mt_assign_worker(&run->worker, resume_step);
    return mt_assign_ranks(&run->coordinator, resume_step, err);
}

int mt_finish_run(mt_run *run, int64_t resume_step) {
    return mt_run_outer_steps(&run->coordinator, resume_step);
}

void mt_close_run(mt_run *run) {
    mt_coordinator_close(&run->coordinator);
    mt_worker_close(&run->worker);
    mt_meta_theta_close(&run->theta);
    *run = (mt_run){0};
}

int mt_run_worker(mt_session *s) {
    lopt_error err = {LOPT_OK, ""};
    int64_t resume_step;
    int status;
    if (!mt_receive_setup(s, &resume_step, &status, &err)) return status;
    mt_run *run = calloc(1, sizeof *run);
    if (!run) mt_abort_without_memory(s->transport, "a run");
    int ok = s->cfg && mt_meta_theta_open(&run->theta, s->cfg, resume_step >= 0, &err) &&
             mt_worker_open(&run->worker, s, &run->theta, &err);
    if (ok)
        mt_assign_worker(&run->worker, resume_step);
    else
        mt_send_ready(s, NULL, &err);
    status = mt_serve_coordinator(&run->worker, s, ok);
    mt_worker_close(&run->worker);
    mt_meta_theta_close(&run->theta);
    free(run);
    return status;
}
