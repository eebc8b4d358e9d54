/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h - DIR/costs.json: what a run measured of its own costs, for `metatrain simulate`.
 *
 *     {"tasks": [{"task": "image_mlp", "step_seconds": 6.1e-05}, ...], "spread": 0.04,
 *      "outside_share": 0.01,
 *      "message_seconds": 3e-06, "serial_seconds": 5e-05, "draw_seconds": 2e-09,
 *      "gradient_seconds": 4e-04, "ship_seconds": ..., "move_seconds": ...}
 *
 * All 1, or 0 and a sentence. */
#ifndef MT_COSTS_FILE_H
#define MT_COSTS_FILE_H

#include "ranks/cost_model.h"

typedef struct mt_profile {
    mt_cost_model costs;
    double spread;   /* of the time of a window over its prediction: standard deviation */
    double message;  /* seconds of rank 0 for a message that it takes */
    double outside;  /* share of the CPU time of all ranks outside windows, serial and draw */
    double serial;   /* seconds of rank 0 from the last report of an outer step to the next window, but
                     * for the gradient: */
    double draw;     /* CPU seconds of a number of it for a particle */
    double gradient; /* seconds that it took, by rank 0 or shared: to compare with; not read */
} mt_profile;

int mt_profile_write(const char *path, const mt_profile *m, const mt_config *cfg, lopt_error *err);
/* The file must list as many tasks as cfg. */
int mt_profile_read(const char *path, mt_profile *m, const mt_config *cfg, lopt_error *err);

#endif
