/* SPDX-License-Identifier: Apache-2.0
 *
 * small_fc_map.h - what an exporter needs to know of an optimizer of kind small_fc.
 *
 *     mt_small_fc fc;
 *     if (!mt_small_fc_of(opt, "export to pylo", &fc, &err)) ...     other kinds give a sentence
 *
 * Borrowed: weights and biases point into the optimizer's theta. */
#ifndef MT_SMALL_FC_H
#define MT_SMALL_FC_H

#include "lopt.h"

enum { MT_FC_DECAYS = 3, MT_FC_MAX_LAYERS = 16, MT_FC_INPUTS = 39, MT_FC_OUTPUTS = 2 };

typedef struct mt_small_fc {
    int hidden_size, n_layers; /* layers of weights: hidden layers and the output */
    int in[MT_FC_MAX_LAYERS], out[MT_FC_MAX_LAYERS];
    const float *weight[MT_FC_MAX_LAYERS]; /* (in, out) */
    const float *bias[MT_FC_MAX_LAYERS];
    int learned_decays;
    float momentum[MT_FC_DECAYS], rms, factored[MT_FC_DECAYS]; /* decays in effect */
    double learning_rate, step_mult, exp_mult, weight_decay;
    int decay_uses_updated; /* weight decay is taken of p after the step */
    double max_grad_norm, clip_norm;
    int nan_to_num;
    int tie_pylo_velo;
    double mup; /* muP: rates of weights between hidden layers times this over their fan-in; -1: off */
} mt_small_fc;

/* `what` begins the sentence if opt is of another kind. */
int mt_small_fc_of(const lopt_optimizer *opt, const char *what, mt_small_fc *fc, lopt_error *err);

#endif
