/* SPDX-License-Identifier: Apache-2.0
 *
 * small_fc_map.h - what an export to PyLO needs to know of an optimizer of kind small_fc. */
#ifndef MT_SMALL_FC_H
#define MT_SMALL_FC_H

#include "lopt.h"

enum { MT_FC_DECAYS = 3 };

typedef struct mt_small_fc {
    float momentum[MT_FC_DECAYS], rms, factored[MT_FC_DECAYS]; /* decays in effect */
    double learning_rate, step_mult, exp_mult, weight_decay;
    int decay_uses_updated; /* weight decay is taken of p after the step */
    double max_grad_norm, clip_norm;
    int nan_to_num;
    int tie_pylo_velo;
    double mup; /* muP: rates of weights between hidden layers times this over their fan-in; -1: off */
} mt_small_fc;

int mt_small_fc_of(const lopt_optimizer *opt, mt_small_fc *fc); /* 0: another kind */

#endif
