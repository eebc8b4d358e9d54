/* SPDX-License-Identifier: Apache-2.0
 *
 * cost_model.h - what a window of a particle will take: measured CPU seconds of an inner step of each task,
 * times the steps to come.
 *
 *     mt_learn_cost(&costs, &report);                     of every report
 *     seconds = mt_predict_cost(&costs, cfg, &counters, window);  0 while nothing is known of its tasks
 *
 * Predictions say where a particle runs (load_balance.h), never what it computes. */
#ifndef MT_COST_MODEL_H
#define MT_COST_MODEL_H

#include "config/config.h"
#include "es/window_report.h"

typedef struct mt_cost_model {
    double step[MT_MAX_TASKS]; /* seconds of an inner step of both twins; 0: not known */
    double ship;               /* CPU seconds of sending or taking in a particle */
    double move;               /* seconds from asking for a particle until it runs elsewhere */
} mt_cost_model;

void mt_learn_cost(mt_cost_model *costs, const mt_report *report);
double mt_predict_cost(const mt_cost_model *costs, const mt_config *cfg, const mt_particle_counters *at,
                       int64_t window);

#endif
