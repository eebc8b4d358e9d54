/* SPDX-License-Identifier: Apache-2.0
 *
 * cost_model.h - what a window of a particle will take: measured CPU seconds of an inner step of each task,
 * times the steps to come.
 *
 *     mt_costs_learn(&costs, &report);                     of every report
 *     seconds = mt_costs_predict(&costs, cfg, &counters, window);  0 while nothing is known of its tasks
 *
 * Predictions say where a particle runs (load_balance.h), never what it computes. */
#ifndef MT_COSTS_H
#define MT_COSTS_H

#include "config/config.h"
#include "es/window_report.h"

typedef struct mt_costs {
    double step[MT_MAX_TASKS]; /* seconds of an inner step of both twins; 0: not known */
    double ship;               /* CPU seconds of sending or taking in a particle */
    double move;               /* seconds from asking for a particle until it runs elsewhere */
} mt_costs;

void mt_costs_learn(mt_costs *costs, const mt_report *report);
double mt_costs_predict(const mt_costs *costs, const mt_config *cfg, const mt_particle_counters *at, int64_t window);

#endif
