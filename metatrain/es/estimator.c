/* SPDX-License-Identifier: Apache-2.0
 *
 * estimator.c - see estimator.h. */
#include "es/estimator.h"

#include <stddef.h>

static const mt_rule rules[] = {
    [MT_ES] = {"es", "full evolution strategies: every window is a whole trajectory", "Salimans et al. 2017",
               MT_EACH_WINDOW, MT_THIS_NOISE, MT_NEW_TRAJECTORY},
    [MT_TES] = {"tes", "truncated ES: both twins continue the positive one (biased)", "Metz et al. 2019",
                MT_EACH_WINDOW, MT_THIS_NOISE, MT_POSITIVE_STATE},
    [MT_PES] = {"pes", "persistent ES: noise summed since the reset (unbiased)", "Vicol et al. 2021", MT_EACH_WINDOW,
                MT_NOISE_SINCE_RESET, MT_OWN_STATE},
    [MT_NRES] = {"nres", "noise-reuse ES: one perturbation a trajectory (unbiased, least variance)", "Li et al. 2023",
                 MT_EACH_TRAJECTORY, MT_NOISE_SINCE_RESET, MT_OWN_STATE},
    [MT_GPES] = {"gpes", "generalised PES: noise redrawn every noise_every inner steps", "Li et al. 2023",
                 MT_EVERY_K_STEPS, MT_NOISE_SINCE_RESET, MT_OWN_STATE},
};

const mt_rule *mt_estimator_rule(mt_estimator name) {
    return (size_t)name < sizeof rules / sizeof *rules ? &rules[name] : NULL;
}

int mt_window_is_trajectory(const mt_config *cfg) {
    return mt_estimator_rule(cfg->estimator.name)->start == MT_NEW_TRAJECTORY;
}
