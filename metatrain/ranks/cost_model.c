/* SPDX-License-Identifier: Apache-2.0
 *
 * cost_model.c - see cost_model.h. */
#include "ranks/cost_model.h"

#include <math.h>

#include "es/unroll.h"

#define RATE 0.1 /* of learning: about ten windows of a task count */

/* The error of a prediction is shared among the tasks of the window by their steps (the normalised
 * least-mean-squares rule), at once where a task is new. */
void mt_learn_cost(mt_cost_model *c, const mt_report *r) {
    double steps[MT_MAX_TASKS] = {0}, predicted = 0, squares = 0, rate = RATE;
    for (int k = 0; k < r->n_task_steps; k++) steps[r->task_steps[k].task] += (double)r->task_steps[k].steps;
    for (int t = 0; t < MT_MAX_TASKS; t++) {
        predicted += steps[t] * c->step[t];
        squares += steps[t] * steps[t];
        if (steps[t] > 0 && c->step[t] == 0) rate = 1;
    }
    for (int t = 0; squares > 0 && t < MT_MAX_TASKS; t++)
        if (steps[t] > 0) c->step[t] = fmax(c->step[t] + rate * (r->seconds - predicted) * steps[t] / squares, 1e-9);
}

double mt_predict_cost(const mt_cost_model *c, const mt_config *cfg, const mt_particle_counters *at, int64_t window) {
    int64_t steps[MT_MAX_TASKS];
    double seconds = 0;
    mt_predict_steps(cfg, at, window, steps);
    for (int t = 0; t < cfg->n_tasks; t++) seconds += (double)steps[t] * c->step[t];
    return seconds;
}
