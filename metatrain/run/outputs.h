/* SPDX-License-Identifier: Apache-2.0
 *
 * outputs.h - rank 0: what people see of a run: progress, metrics.jsonl, TensorBoard, theta.h5, best.h5, status.json,
 * curve.svg, the summary.
 *
 *     mt_start_outputs(&o, resume_step, &err);     also after ranks were removed
 *     mt_record_step(&o, &record, &progress);      every outer step
 *     mt_write_theta(&o, &err); mt_write_status(&o, MT_STATE_RUNNING, 0, &err);
 *     mt_print_summary(&o, reason, saved); mt_finish_plot(&o); mt_close_outputs(&o);
 *
 * A history that cannot be written is given up with a warning: theta does not depend on it. A run without a folder
 * (session.h) writes nothing and prints nothing. */
#ifndef MT_OUTPUTS_H
#define MT_OUTPUTS_H

#include "base/progress.h"
#include "es/outer_optimizer.h"
#include "es/task_sampler.h"
#include "run/metrics.h"
#include "run/status_file.h"
#include "run/validation.h"

typedef struct mt_run_counters { /* all 64-bit integers: saved as one array */
    int64_t step;                /* outer steps done */
    int64_t inner_steps;         /* of all particles and twins, since step 0 */
    int64_t non_finite, dropped;
    int64_t updates, skipped; /* of the outer optimizer */
} mt_run_counters;

typedef struct mt_outputs {
    const mt_session *session; /* these are borrowed */
    const mt_meta_theta *theta;
    const mt_run_counters *counters;
    mt_validation *validation;
    const mt_task_sampler *sampler;
    mt_metrics *metrics;
    mt_event_file *events;
    double seconds_before; /* wall time of earlier runs */
    double started;        /* mt_wall_seconds() when this one began */
} mt_outputs;

typedef struct mt_step_record {
    const mt_outer_summary *summary;
    const mt_outer_norms *norms;
    double seconds;        /* that the outer step took */
    double idle_share;     /* NaN: as the seconds of windows say */
    double overhead_share; /* of CPU time outside windows */
} mt_step_record;

int mt_start_outputs(mt_outputs *o, int64_t resume_step, lopt_error *err);
void mt_close_outputs(mt_outputs *o);
void mt_record_step(mt_outputs *o, const mt_step_record *record, mt_progress *progress);
int mt_flush_outputs(mt_outputs *o, lopt_error *err); /* with a checkpoint */
int mt_write_theta(const mt_outputs *o, lopt_error *err);
int mt_write_best(const mt_outputs *o, lopt_error *err); /* DIR/best.h5: theta, which has the best score */
int mt_write_status(const mt_outputs *o, mt_state state, int status, lopt_error *err);
void mt_print_summary(const mt_outputs *o, const char *reason, int saved);
void mt_finish_plot(mt_outputs *o);
double mt_total_seconds(const mt_outputs *o); /* of wall time, earlier runs included */

#endif
