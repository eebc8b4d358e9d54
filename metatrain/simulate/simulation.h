/* SPDX-License-Identifier: Apache-2.0
 *
 * simulation.h - a meta-training on any number of ranks as a discrete-event model (docs/scaling.md).
 *
 *     mt_simulation how = {.cfg = cfg, .measured = m, .workers = 10000, .cores = 10000, ...};
 *     mt_simulate_run(&how, &result, &err);
 *
 * Particles go through the tasks and trajectory lengths that the configuration draws; windows take what
 * a run measured; who runs what is decided by load_balance.c and cost_model.c, whose own time is measured and
 * counts. Modelled: ranks that share cores, the tree that theta takes, messages that queue at rank 0,
 * particles that move, the gradient, by rank 0 or shared, and the update of theta that all wait for. Not
 * modelled: noise of the machine, lost ranks, checkpoints, evaluation. */
#ifndef MT_SIMULATION_H
#define MT_SIMULATION_H

#include "run/profile.h"

typedef struct mt_simulation {
    const mt_config *cfg;
    mt_profile measured;
    int workers, cores;
    int64_t particles, outer_steps;
    int64_t theta;    /* numbers, all trained */
    double perturb;   /* seconds of a window beyond what a run measured, for a larger theta */
    double latency;   /* seconds of a message from one rank to another */
    double bandwidth; /* bytes per second */
} mt_simulation;

typedef struct mt_simulated {
    double seconds;     /* of all outer steps */
    double windows;     /* of these: until the last window ended, */
    double waiting;     /* until rank 0 had taken the last report, */
    double sending;     /* until theta was with the last rank, */
    double placing;     /* deciding who runs what, */
    double gradient;    /* making the gradient from the reports, */
    double updating;    /* and updating theta, writing metrics */
    double utilisation; /* share of the cores' time in windows */
    int64_t moved, stolen;
} mt_simulated;

int mt_simulate_run(const mt_simulation *how, mt_simulated *result, lopt_error *err);

/* What rank 0 does between reports and the next window, in seconds. */
typedef struct mt_update {
    double draw;  /* of a number of the gradient, for a particle */
    double plan;  /* of a particle, once */
    double outer; /* of the step of theta and what people see of the gradient */
} mt_update;

/* Measured here, for a theta of so many numbers. */
int mt_measure_update(const mt_config *cfg, int64_t theta, mt_update *update, lopt_error *err);

#endif
