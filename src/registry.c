/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.c - the kinds of optimizers. Adding one: declare it, add its line. */
#include <string.h>

#include "optimizer.h"

extern const lopt__kind lopt__small_fc, lopt__velo, lopt__celo, lopt__celo_adam, lopt__celo2;
extern const lopt__kind lopt__adafac_nominal, lopt__learnable, lopt__mlp_lopt, lopt__nn_adam, lopt__rnn_mlp;
extern const lopt__kind lopt__sgd, lopt__adam, lopt__nadamw, lopt__rmsprop, lopt__adafactor, lopt__adagrad,
    lopt__lamb, lopt__lars, lopt__adabelief, lopt__yogi, lopt__radam, lopt__sm3, lopt__fromage, lopt__lion,
    lopt__muon;

static const lopt__kind *const kinds[] = {
    &lopt__small_fc,
    &lopt__velo,
    &lopt__celo,
    &lopt__celo_adam,
    &lopt__celo2,
    &lopt__adafac_nominal,
    &lopt__mlp_lopt,
    &lopt__nn_adam,
    &lopt__rnn_mlp,
    &lopt__learnable,
    &lopt__sgd,
    &lopt__adam,
    &lopt__nadamw,
    &lopt__rmsprop,
    &lopt__adafactor,
    &lopt__adagrad,
    &lopt__lamb,
    &lopt__lars,
    &lopt__adabelief,
    &lopt__yogi,
    &lopt__radam,
    &lopt__sm3,
    &lopt__fromage,
    &lopt__lion,
    &lopt__muon,
};

size_t lopt__n_kinds(void)
{
    return sizeof kinds / sizeof kinds[0];
}

const lopt__kind *lopt__kind_at(size_t i)
{
    return kinds[i];
}

const lopt__preset *lopt__preset_find(const char *name, const lopt__kind **kind)
{
    for (size_t k = 0; k < lopt__n_kinds(); k++)
        for (int i = 0; i < kinds[k]->n_presets; i++)
            if (strcmp(kinds[k]->presets[i].info.name, name) == 0) {
                *kind = kinds[k];
                return &kinds[k]->presets[i];
            }
    return NULL;
}

size_t lopt_n_presets(void)
{
    size_t n = 0;
    for (size_t k = 0; k < lopt__n_kinds(); k++)
        n += (size_t)kinds[k]->n_presets;
    return n;
}

const lopt_preset_info *lopt_preset(size_t i)
{
    for (size_t k = 0; k < lopt__n_kinds(); k++) {
        size_t n = (size_t)kinds[k]->n_presets;
        if (i < n)
            return &kinds[k]->presets[i].info;
        i -= n;
    }
    return NULL;
}

int lopt_hyper(const char *preset, size_t i, lopt_hyper_info *out)
{
    const lopt__kind *kind;
    if (!lopt__preset_find(preset, &kind) || i >= (size_t)kind->n_hypers)
        return 0;
    const lopt__hyper *h = &kind->hypers[i];
    *out = (lopt_hyper_info){h->name, lopt__type_name(h->type), h->count, h->min, h->max, h->choices,
                             h->help};
    return 1;
}
