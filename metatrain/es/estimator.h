/* SPDX-License-Identifier: Apache-2.0
 *
 * estimator.h - the estimators of the gradient of theta, as three choices each:
 *
 *     name   noise is redrawn     loss difference times      twins start a window from
 *     es     each window          this noise                 a new trajectory: the window is one
 *     tes    each window          this noise                 the positive twin's state (biased)
 *     pes    each window          noise summed since reset   their own states
 *     nres   each trajectory      noise summed since reset   their own states
 *     gpes   every K inner steps  noise summed since reset   their own states
 *
 * (For nres the sum has one term.) A new estimator is a row of the table in estimator.c, a name in config.h, and a
 * new choice where none of these serves: when noise is redrawn and where twins start is read by unroll.c and
 * trajectory.c, what the loss difference multiplies by es_gradient.c.
 *
 * Sources: ES (Salimans et al. 2017), truncated ES (Metz et al. 2019), PES (Vicol et al. 2021), NRES and GPES
 * (Li et al. 2023). */
#ifndef MT_ESTIMATOR_H
#define MT_ESTIMATOR_H

#include "config/config.h"

typedef enum mt_redraw { MT_EACH_WINDOW, MT_EACH_TRAJECTORY, MT_EVERY_K_STEPS } mt_redraw;
typedef enum mt_multiplier { MT_THIS_NOISE, MT_NOISE_SINCE_RESET } mt_multiplier;
typedef enum mt_start { MT_NEW_TRAJECTORY, MT_POSITIVE_STATE, MT_OWN_STATE } mt_start;

typedef struct mt_rule {
    const char *name, *summary, *source;
    mt_redraw redraw;
    mt_multiplier multiplier;
    mt_start start;
} mt_rule;

const mt_rule *mt_estimator_rule(mt_estimator name); /* NULL past the last */
/* Full ES: a window is a whole trajectory. */
int mt_window_is_trajectory(const mt_config *cfg);

#endif
