/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator.h - what rank 0 holds besides its worker, and the two modes of an outer step. */
#ifndef MT_COORDINATOR_H
#define MT_COORDINATOR_H

#include "base/progress.h"
#include "es/outer_optimizer.h"
#include "run/assignment.h"
#include "run/checkpointing.h"
#include "run/outputs.h"
#include "run/profile.h"
#include "run/worker.h"

typedef struct mt_coordinator mt_coordinator;

/* outer.mode: synchronous (step_sync.c) or asynchronous (step_async.c). */
typedef struct mt_step_mode {
    int (*open)(mt_coordinator *c, lopt_error *err); /* registers REPORTS and what else it handles and contributes */
    void (*close)(mt_coordinator *c);
    void (*assigned)(mt_coordinator *c); /* particles were assigned anew: what was under way is forgotten */
    int (*step)(mt_coordinator *c); /* one outer step or more, or none if a stop is asked for; 0: a rank was lost */
} mt_step_mode;

extern const mt_step_mode mt_step_sync, mt_step_async;

/* Reports that no outer step has used yet, of the asynchronous mode. */
typedef struct mt_report_pool {
    mt_report *report; /* [n] in the order of their arrival */
    int64_t n, room;
    int64_t *theta_sent;     /* [ranks] outer step of the theta last sent to a rank; -1: none */
    char *unacknowledged;    /* [ranks] it has not answered yet */
    double step_start;       /* when the last outer step ended */
    double idle_since, busy; /* seconds of the windows that were reported since then */
    double idle_share;       /* over the last second or more; NaN: none yet */
    int released;            /* ranks have theta since they were assigned their particles */
} mt_report_pool;

struct mt_coordinator {
    mt_session *session;  /* borrowed */
    mt_meta_theta *theta; /* borrowed */
    mt_worker *worker;    /* borrowed: of this rank */
    const mt_step_mode *mode;
    mt_assignment assignment;
    mt_report *report; /* [particles] of the outer step at hand, in particle order: synchronous */
    mt_report_pool pool;
    mt_outer outer;
    mt_run_counters counters;
    double saved_seconds; /* wall time of the run, in its last checkpoint */
    mt_checkpointing checkpoints;
    mt_profiler profiler;
    mt_outputs outputs;
    mt_progress progress;
};

/* ---- step_common.c: what both modes do ------------------------------------------------------- */

/* Gradient -> theta; counts the outer step. */
void mt_update_theta(mt_coordinator *c, const mt_outer_summary *summary, mt_outer_norms *norms);
/* What follows from the new theta: validation where it is due, outputs. start: when the outer step began. 0 if a rank
 * was lost. */
int mt_conclude_step(mt_coordinator *c, const mt_outer_summary *summary, const mt_outer_norms *norms, double start);
/* Outer steps after which a checkpoint is written. */
int mt_checkpoint_is_due(const mt_coordinator *c, int64_t step);
/* Whether a report's indices are those of this run. */
int mt_check_report(const mt_coordinator *c, const mt_report *report);

/* ---- recovery.c: the loss of ranks ----------------------------------------------------------- */

/* Rank 0 and all others that are left take what is assigned to them: new particles, or those of a checkpoint
 * (step >= 0), of which everything else is restored, too. 0 and a message if a rank cannot go on. */
int mt_assign_ranks(mt_coordinator *c, int64_t step, lopt_error *err);
/* Removes the ranks that failed; the others return to the newest checkpoint. 0 and a message if that cannot be. */
int mt_recover_ranks(mt_coordinator *c, lopt_error *err);

#endif
