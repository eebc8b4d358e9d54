/* SPDX-License-Identifier: Apache-2.0
 *
 * simulation.h - a meta-training on any number of ranks as a discrete-event model (docs/scaling.md).
 *
 *     mt_simulation how = {.cfg = cfg, .measured = m, .workers = 10000, .cores = 10000, ...};
 *     mt_simulate(&how, &result, &err);
 *
 * Particles go through the tasks and trajectory lengths that the configuration draws; windows take what
 * a run measured; who runs what is decided by placement.c and costs.c, whose own time is measured and
 * counts. Modelled: ranks that share cores, the tree that theta takes, messages that queue at rank 0,
 * particles that move, the update of theta that all wait for. Not modelled: noise of the machine, lost
 * ranks, restart points. */
#ifndef MT_SIMULATION_H
#define MT_SIMULATION_H

#include "costs_file.h"

typedef struct mt_simulation {
    const mt_config *cfg;
    mt_measured measured;
    int workers, cores;
    int64_t particles, outer_steps;
    int64_t theta;         /* numbers */
    double update_seconds; /* of theta, beyond measured.serial */
    double latency;        /* seconds of a message from one rank to another */
    double bandwidth;      /* bytes per second */
} mt_simulation;

typedef struct mt_simulated {
    double seconds;     /* of all outer steps */
    double windows;     /* of these: until the last window ended, */
    double waiting;     /* until rank 0 had taken the last report, */
    double sending;     /* until theta was with the last rank, */
    double placing;     /* deciding who runs what, */
    double updating;    /* and updating theta */
    double utilisation; /* share of the cores' time in windows */
    int64_t moved, stolen;
} mt_simulated;

int mt_simulate(const mt_simulation *how, mt_simulated *result, lopt_error *err);

/* Measures the update of theta here: seconds of one outer step with so many particles. */
int mt_measure_update(const mt_config *cfg, int64_t theta, int64_t particles, double *seconds,
                      lopt_error *err);

#endif
