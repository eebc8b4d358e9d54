/* SPDX-License-Identifier: Apache-2.0
 *
 * run.h - everything one rank holds of a meta-training run, and the messages between ranks.
 *
 * One outer step, in reading order:
 *
 *     outer_loop.c  deal               who runs which particle, by measured costs      (load_balance.h)
 *     outer_loop.c  send_window        theta and who moves, to every rank
 *     worker.c       mt_run_todo        each rank unrolls one window of its particles   (unroll.c)
 *     worker.c       mt_hear            between inner steps: an idle rank gets a particle of a busy one
 *     outer_loop.c  take_reports       scalars of every particle come back             (window_report.h)
 *     gradient_shares.c     mt_gradient        reports -> gradient of theta, a share each      (es_gradient.h)
 *     outer_optimizer.c        mt_outer_update    gradient -> theta
 *
 * That is the synchronous mode; step_async.c has the outer step of the other one.
 *
 * Rank 0 coordinates and works like the others. A particle lives on one rank, which holds its memory;
 * that rank alone runs its windows, and whoever that is gets the same bits. When ranks die (membership.h)
 * the others return to the last restart point (outer_loop.c: recover). */
#ifndef MT_RUN_H
#define MT_RUN_H

#include "base/clock.h"
#include "base/progress.h"
#include "config/config.h"
#include "es/es_gradient.h"
#include "es/outer_optimizer.h"
#include "es/unroll.h"
#include "ranks/load_balance.h"
#include "ranks/membership.h"
#include "ranks/messages.h"
#include "ranks/transport.h"
#include "run/metrics.h"
#include "run/profile.h"
#include "run/status_file.h"
#include "run/validation.h"

typedef struct mt_run_counters { /* all 64-bit integers: saved as one array */
    int64_t step;                /* outer steps done */
    int64_t inner_steps;         /* of all particles and twins, since step 0 */
    int64_t non_finite, dropped;
    int64_t updates, skipped; /* of the outer optimizer */
} mt_run_counters;

typedef struct mt_todo {
    double cost; /* predicted seconds */
    int64_t particle;
} mt_todo;

/* The asynchronous mode (step_async.c). */
typedef struct mt_async {
    /* every rank */
    int paused;          /* no window begins until theta comes */
    int64_t next;        /* particle whose turn it is, or the first one after it that is here */
    int64_t since_theta; /* windows begun since theta came */
    int64_t prepared;    /* outer step whose theta the unroller has; -1: none */
    /* coordinator */
    mt_report *report; /* [n_reports] not yet used, in the order of their coming */
    int64_t n_reports, room;
    int64_t *sent;           /* [size] outer step of the theta last sent to a rank; -1: none */
    char *underway;          /* [size] it has not answered yet */
    int interruptible;       /* outer steps may be made inside the window in hand */
    double stepped;          /* when the last outer step ended */
    double idle_since, busy; /* seconds of the windows that were reported since then */
    double idle;             /* share; over the last second or more; NaN: none yet */
    mt_progress *progress;
} mt_async;

typedef struct mt_run {
    mt_comm comm;
    mt_crew crew;
    mt_config *cfg;
    char dir[MT_PATH];

    /* every rank */
    lopt_optimizer *optimizer; /* its settings and layout */
    float *theta;              /* [n_theta] */
    unsigned char *trained;    /* [n_theta]: 1, or 0 where frozen */
    mt_unroller unroller;
    mt_particle *particle; /* [particles]; memory NULL: another rank has it */
    int64_t window;        /* being run, or the last one; -1: none yet */
    mt_todo *todo;         /* [n_todo] particles here still to be run in it, longest last */
    int64_t n_todo;
    mt_snapshot snapshot;
    int evaluate; /* its jobs of this rank are to be run */
    mt_cost_model costs;
    double hand_free;  /* when the window in hand will end, by prediction */
    double next_look;  /* for messages */
    mt_report *unsent; /* [MT_UNSENT] */
    int n_unsent;
    double sent;           /* when reports last left */
    int64_t restart_step;  /* MT_NO_RESTART, or where RESTART says to return to, */
    int64_t restart_epoch; /* from when on */
    mt_save_order save;    /* the latest, */
    int save_due;          /* which is still to be obeyed */
    mt_async async;
    int shares;        /* of the gradient, one each for the first so many of the living */
    int planned;       /* its share of this rank is to be made */
    int ended, status; /* END came */

    mt_es_gradient estimator; /* other ranks than 0: of a share, or none */

    /* coordinator */
    mt_outer outer;
    mt_report *report;   /* [particles], in particle order; .at: as last heard */
    int *owner, *placed; /* [particles] places in crew.live; placed: of the coming window */
    double *cost;        /* [particles] predicted seconds of the window */
    double *asked;       /* [particles] when a rank was asked to give it; 0: not */
    mt_board board;
    int64_t n_missing;   /* reports, or answers to SETUP, SAVE, RESTART */
    lopt_error answer;   /* the first that was not good */
    mt_profile measured; /* for costs.json; .costs and .spread are made when it is written */
    double task_seconds[MT_MAX_TASKS], task_steps[MT_MAX_TASKS]; /* of windows of one task */
    double squares, windows;                                     /* of relative errors of predictions; how many */
    double reported;       /* when the last report of the outer step came; 0: not yet */
    double *cpu;           /* [size] CPU seconds of each rank's process, as last heard */
    double cpu_before;     /* of all, at the end of the last outer step */
    double cpu_evaluating; /* of what they will say next, to be left out of the next step */
    mt_run_counters at;
    double seconds_before; /* wall time of earlier runs */
    double started;        /* mt_seconds() when this one began */
    mt_metrics *metrics;
    mt_event_file *events; /* the same for TensorBoard */
} mt_run;

enum { MT_UNSENT = 32, MT_NO_RESTART = -2 };

/* ---- run.c: before the first window ---- */

/* Everything a rank needs from cfg (owned by the run from here on). resumed: theta will come from a
 * restart point, so optimizer.init is not read. 0 and a sentence. */
int mt_run_open(mt_run *run, int resumed, lopt_error *err);
void mt_run_close(mt_run *run); /* fine on a half-open run */
/* What the coordinator sends first. A worker gets run->cfg (NULL and a sentence if it cannot be used
 * here), or 0: told to end with *status. */
void mt_send_setup(mt_run *run, int64_t resume_step);
int mt_receive_setup(mt_run *run, int64_t *resume_step, int *status, lopt_error *err);
/* A worker's answer to SETUP and RESTART. */
void mt_say_ready(mt_run *run, const lopt_error *err);
/* Coordinator: waits for these answers; 0 and a sentence if a rank cannot go on. */
int mt_ranks_are_ready(mt_run *run, int ok_here, lopt_error *err);
/* Tells every worker to end with this status. */
void mt_dismiss(mt_run *run, int status);

/* ---- worker.c: what every rank does ---- */

/* Opens this rank's particles, as they are dealt after a start or the loss of ranks: new ones, or
 * those of a restart point (step >= 0). */
int mt_run_deal(mt_run *run, int64_t step, lopt_error *err);
/* Begins a window with the particles here, theta being at run->theta; then sends those that move. */
void mt_run_begin(mt_run *run, const mt_window_head *head, const mt_move *move);
/* Unrolls the window of every particle here, reporting each, until none is left to do. */
void mt_run_todo(mt_run *run);
/* Unrolls the next window of a particle here, which takes `cost` seconds by prediction; its report is
 * then the last of run->unsent. */
void mt_run_window(mt_run *run, int64_t particle, double cost);
void mt_send_reports(mt_run *run);
/* Answers all messages that have come; returns how many. */
int mt_hear(mt_run *run);
/* Makes windows be interrupted for that between inner steps. */
void mt_listen(mt_run *run);
/* Evaluates run->theta on this rank's tasks and seeds, reporting each. */
void mt_run_snapshot(mt_run *run);
/* An idle rank is to get a particle from here. */
void mt_run_give(mt_run *run, int to, double asked);
/* Serves the coordinator until it says END; returns the exit status it was told. */
int mt_work(mt_run *run);

/* ---- outer_loop.c: outer steps ---- */

/* Runs outer steps until cfg->outer.steps or a request to stop. Returns an exit status, says on stderr
 * what failed, and leaves it in DIR/status.json. */
int mt_coordinate(mt_run *run, int64_t resume_step);
/* Notes that particle p was dealt to place p mod n_live of the living. */
int mt_coordinator_dealt(mt_run *run, lopt_error *err);
/* A message of a worker; 0 if it makes no sense. */
int mt_coordinator_takes(mt_run *run, const mt_message *message);
void mt_take_reports(mt_run *run, int rank, const mt_report *reports, size_t n);
void mt_take_scores(mt_run *run, const mt_scores *scores);
/* Answers to STEAL. */
void mt_take_gift(mt_run *run, int rank, const mt_steal *gift);
/* Adds the measured times of a window to what is known; cost: what was predicted, 0: nothing. */
void mt_learn_window(mt_run *run, const mt_report *report, double cost);
/* An outer step once its gradient is there: first theta, then everything that follows from it; 0 if a
 * rank was lost. start: when the step began. */
void mt_update_theta(mt_run *run, const mt_outer_summary *summary, mt_outer_norms *norms);
int mt_conclude_step(mt_run *run, const mt_outer_summary *summary, const mt_outer_norms *norms, double start,
                     mt_progress *progress);
/* Outer steps after which ranks pause or evaluate. */
int mt_is_restart_point(const mt_run *run, int64_t step);
/* Works and listens until nothing is missing; 0 if a rank was lost meanwhile. */
int mt_wait(mt_run *run);

/* ---- step_async.c: the asynchronous mode ---- */

int mt_async_open(mt_run *run, lopt_error *err); /* coordinator */
void mt_async_close(mt_run *run);
/* Every rank: particles were dealt anew; nobody begins a window before theta comes. */
void mt_async_deal(mt_run *run);
/* Coordinator: works until there was an outer step, or more, or a request to stop; 0 if a rank was
 * lost. */
int mt_async_steps(mt_run *run, mt_progress *progress);
/* Makes the outer step for which the reports are there, if it may be made now; between inner steps. */
void mt_async_interrupt(mt_run *run);
void mt_async_takes_reports(mt_run *run, const mt_report *reports, size_t n);
void mt_async_takes_have(mt_run *run, int rank);
/* Reports not yet used, as items of a restart point whose particles are at rest; returns how many items. */
enum { MT_ASYNC_ITEMS = 2 };
size_t mt_async_items(mt_run *run, mt_item items[MT_ASYNC_ITEMS]);
int mt_async_restore(mt_run *run, int64_t step, lopt_error *err);
/* A worker: whether a particle here may go on; its next window; 0: theta makes no sense. */
int mt_async_may_work(const mt_run *run);
void mt_async_window(mt_run *run);
int mt_async_takes_theta(mt_run *run, const mt_message *message);

/* ---- gradient_shares.c: the gradient of theta, shared out ---- */

/* Every rank: its share, as the living are now; noise since the reset is zero in it. */
int mt_gradient_deal(mt_run *run, lopt_error *err);
/* Coordinator: run->estimator.gradient from the reports; 0 if a rank was lost. */
int mt_gradient(mt_run *run, mt_outer_summary *summary);
/* The pieces of this rank's share, listening meanwhile; 0: stopped, the result is of no use any more. */
int mt_gradient_pieces(mt_run *run);
/* CPU seconds of all ranks for it, as measured. */
double mt_gradient_cpu(const mt_run *run);
/* A worker's share of it. */
void mt_run_gradient(mt_run *run);
/* Noise since the reset: from rank 0, after a restart point was read; to it, before one is written. */
void mt_gradient_hand_out(mt_run *run);
void mt_gradient_hand_in(mt_run *run);
/* Messages; 0 if one makes no sense. */
int mt_gradient_takes_sums(mt_run *run, const mt_message *message);
int mt_gradient_takes_plan(mt_run *run, const mt_message *message);
int mt_gradient_takes_slice(mt_run *run, const mt_message *message);

/* ---- checkpointing.c: restart points ---- */

/* Saves or restores the particles that this rank holds. */
int mt_run_save_particles(mt_run *run, lopt_error *err); /* as run->save says */
int mt_run_load_particles(mt_run *run, int64_t step, lopt_error *err);
/* Coordinator: every rank writes its shard, then the point is closed. */
int mt_save(mt_run *run, lopt_error *err);
/* Brings the coordinator to a restart point: theta, outer optimizer, counters. */
int mt_restore(mt_run *run, int64_t step, lopt_error *err);

/* ---- outputs.c: what people see, by the coordinator ---- */

/* History, theta and status of a run that begins or goes on. */
int mt_open_outputs(mt_run *run, int64_t resume_step, lopt_error *err);
/* The line of an outer step that took so many seconds. */
void mt_record(mt_run *run, const mt_outer_summary *sum, const mt_outer_norms *norms, double seconds,
               mt_progress *progress);
int mt_write_theta(mt_run *run, lopt_error *err);
int mt_write_best(mt_run *run, lopt_error *err); /* DIR/best.h5: theta, which has the best score */
int mt_write_run_status(const mt_run *run, mt_state state, int status, lopt_error *err);
void mt_print_summary(const mt_run *run, const char *reason, int saved);
/* DIR/costs.json. */
int mt_write_costs(mt_run *run, lopt_error *err);
void mt_finish_plot(mt_run *run);
double mt_total_seconds(const mt_run *run); /* of wall time, earlier runs included */

#endif
