/* SPDX-License-Identifier: Apache-2.0
 *
 * run.h - everything one rank holds of a meta-training run, and the messages between ranks.
 *
 * One outer step, in reading order:
 *
 *     coordinator.c  send_window        theta to every rank
 *     worker.c       mt_run_windows     each rank unrolls one window of its particles   (unroll.c)
 *     coordinator.c  gather_reports     scalars of every particle come back             (report.h)
 *     estimator.c    mt_estimate        reports -> gradient of theta
 *     outer.c        mt_outer_update    gradient -> theta
 *
 * Rank 0 coordinates and works like the others. Particle p lives on rank p mod size. */
#ifndef MT_RUN_H
#define MT_RUN_H

#include "comm.h"
#include "config.h"
#include "estimator.h"
#include "metrics.h"
#include "outer.h"
#include "progress.h"
#include "status_file.h"
#include "unroll.h"

/* coordinator -> workers: SETUP, WINDOW, SAVE, END; workers -> coordinator: READY, REPORTS, SAVED.
 */
typedef enum mt_tag {
    MT_TAG_SETUP = 1,
    MT_TAG_READY,
    MT_TAG_WINDOW,
    MT_TAG_REPORTS,
    MT_TAG_SAVE,
    MT_TAG_SAVED,
    MT_TAG_END
} mt_tag;

typedef struct mt_run_counters { /* all 64-bit integers: saved as one array */
    int64_t step;                /* outer steps done */
    int64_t inner_steps;         /* of all particles and twins, since step 0 */
    int64_t non_finite, dropped;
    int64_t updates, skipped; /* of the outer optimizer */
} mt_run_counters;

typedef struct mt_run {
    mt_comm comm;
    mt_config *cfg;
    char dir[MT_PATH];

    /* every rank */
    lopt_optimizer *optimizer; /* its settings and layout */
    float *theta;              /* [n_theta] */
    unsigned char *trained;    /* [n_theta]: 1, or 0 where frozen */
    mt_unroller unroller;
    int64_t n_here;
    mt_particle *particle;  /* [n_here]: particles rank, rank + size, ... */
    mt_report *report_here; /* [n_here] */

    /* coordinator */
    mt_gradient_estimator estimator;
    mt_outer outer;
    mt_report *report; /* [particles], in particle order */
    mt_run_counters at;
    double seconds_before; /* wall time of earlier runs */
    double started;        /* mt_seconds() when this one began */
    mt_metrics *metrics;
    mt_event_file *events; /* the same for TensorBoard */
} mt_run;

/* Everything a rank needs from cfg (owned by the run from here on). resumed: theta will come from a
 * restart point, so optimizer.init is not read. 0 and a sentence. */
int mt_run_open(mt_run *run, int resumed, lopt_error *err);
void mt_run_close(mt_run *run); /* fine on a half-open run */

/* Unrolls one window of each particle here at run->theta, into report_here. */
void mt_run_windows(mt_run *run, int64_t window);
/* Serves the coordinator until it says END; returns the exit status it was told. */
int mt_work(mt_run *run);

/* Runs outer steps until cfg->outer.steps or a request to stop. Returns an exit status, says on stderr what
 * failed, and leaves it in DIR/status.json. */
int mt_coordinate(mt_run *run, int64_t resume_step);
/* Tells every worker to end with this status. */
void mt_dismiss(mt_run *run, int status);

/* ---- restart.c: restart points ---- */

/* Saves or restores this rank's particles. */
int mt_run_save_particles(mt_run *run, int64_t step, lopt_error *err);
int mt_run_load_particles(mt_run *run, int64_t step, lopt_error *err);
/* Coordinator: every rank writes its shard, then the point is closed. */
int mt_save(mt_run *run, lopt_error *err);
/* Brings the coordinator to a restart point: theta, outer optimizer, counters, its own particles. */
int mt_restore(mt_run *run, int64_t step, lopt_error *err);

/* ---- history.c: what people see, by the coordinator ---- */

/* History, theta and status of a run that begins or goes on. */
int mt_open_outputs(mt_run *run, int64_t resume_step, lopt_error *err);
/* The line of an outer step that took so many seconds. */
void mt_record(mt_run *run, const mt_outer_summary *sum, const mt_outer_norms *norms,
               double seconds, mt_progress *progress);
int mt_write_theta(mt_run *run, lopt_error *err);
int mt_write_run_status(const mt_run *run, mt_state state, int status, lopt_error *err);
void mt_print_summary(const mt_run *run, const char *reason, int saved);
void mt_finish_plot(mt_run *run);
double mt_total_seconds(const mt_run *run); /* of wall time, earlier runs included */
/* Says so and forgets a failure of something that theta does not depend on. */
int mt_harmless(int ok, const lopt_error *err);

/* ---- setup.c: before the first window ---- */

/* What the coordinator sends first, and what a rank answers. A worker gets run->cfg (NULL and a
 * sentence if it cannot be used here), or 0: told to end with *status. */
void mt_send_setup(mt_run *run, int64_t resume_step);
int mt_receive_setup(mt_run *run, int64_t *resume_step, int *status, lopt_error *err);
int mt_ranks_are_ready(mt_run *run, int ok_here,
                       lopt_error *err); /* coordinator: 0 if any is not */

#endif
