/* SPDX-License-Identifier: Apache-2.0
 *
 * small_fc_map.c - see formats/small_fc_map.h; formulas in src/optimizers/small_fc.c. */
#include "formats/small_fc_map.h"

#include <math.h>
#include <string.h>

/* 1 - exp(10 (log(1 - decay) / 10 + offset)), operation by operation in float as the optimizer
 * does. */
static float learned_decay(float decay, float offset) {
    float parameter = logf(1.0f - decay) / 10.0f + offset;
    return 1.0f - expf(10.0f * parameter);
}

/* Decays in effect of one family: its setting, moved by the block of theta of the same name. */
static void decays_of(const lopt_optimizer *opt, const char *family, int n, int clip, float *decay) {
    const lopt_block *offsets = lopt_block_find(opt, family);
    for (int k = 0; k < n; k++) {
        decay[k] = (float)lopt_get_number(opt, family, k);
        if (offsets) decay[k] = learned_decay(decay[k], lopt_theta(opt)[offsets->offset + (size_t)k]);
        if (clip) decay[k] = decay[k] < 0 ? 0 : decay[k] > 1 ? 1 : decay[k];
    }
}

int mt_small_fc_of(const lopt_optimizer *opt, mt_small_fc *fc) {
    memset(fc, 0, sizeof *fc);
    if (strcmp(lopt_info(opt)->kind, "small_fc") != 0) return 0;
    int clip_momentum = lopt_get_number(opt, "clip_momentum_decays", 0) != 0;
    decays_of(opt, "momentum_decays", MT_FC_DECAYS, clip_momentum, fc->momentum);
    decays_of(opt, "rms_decays", 1, 1, &fc->rms);
    decays_of(opt, "adafactor_decays", MT_FC_DECAYS, 1, fc->factored);
    fc->learning_rate = lopt_get_number(opt, "learning_rate", 0);
    fc->step_mult = lopt_get_number(opt, "step_mult", 0);
    fc->exp_mult = lopt_get_number(opt, "exp_mult", 0);
    fc->weight_decay = lopt_get_number(opt, "weight_decay", 0);
    fc->decay_uses_updated = lopt_get_number(opt, "weight_decay_uses", 0) != 0;
    fc->max_grad_norm = lopt_get_number(opt, "max_grad_norm", 0);
    fc->clip_norm = lopt_get_number(opt, "clip_norm", 0);
    fc->nan_to_num = lopt_get_number(opt, "nan_to_num", 0) != 0;
    fc->tie_pylo_velo = lopt_get_number(opt, "tie_rule", 0) != 0;
    double base = lopt_get_number(opt, "mup_base_fan_in", 0);
    fc->mup = base > 0 ? base * lopt_get_number(opt, "mup_hidden_lr_mult", 0) : -1;
    return 1;
}
