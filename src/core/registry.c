/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.c - the kinds of optimizers, in the order in which they are listed. A new one is a file
 * in optimizers/ and a line here: X(NAME) is lopt__NAME (docs/adding-an-optimizer.md). */
#include <string.h>

#include "core/settings.h"

#ifndef KINDS /* the exported C header defines it: one kind */
#define KINDS(X)                                                                                                       \
    X(small_fc)                                                                                                        \
    X(velo)                                                                                                            \
    X(celo)                                                                                                            \
    X(celo_adam)                                                                                                       \
    X(celo2)                                                                                                           \
    X(adafac_nominal)                                                                                                  \
    X(mlp_lopt)                                                                                                        \
    X(nn_adam)                                                                                                         \
    X(rnn_mlp)                                                                                                         \
    X(learnable)                                                                                                       \
    X(sgd)                                                                                                             \
    X(adam)                                                                                                            \
    X(nadamw)                                                                                                          \
    X(rmsprop)                                                                                                         \
    X(adafactor)                                                                                                       \
    X(adagrad)                                                                                                         \
    X(lamb)                                                                                                            \
    X(lars)                                                                                                            \
    X(adabelief)                                                                                                       \
    X(yogi)                                                                                                            \
    X(radam)                                                                                                           \
    X(sm3)                                                                                                             \
    X(fromage)                                                                                                         \
    X(lion)                                                                                                            \
    X(muon)                                                                                                            \
    X(schedule_free)                                                                                                   \
    X(adopt)                                                                                                           \
    X(ademamix)                                                                                                        \
    X(adan)                                                                                                            \
    X(prodigy)                                                                                                         \
    X(soap)                                                                                                            \
    X(shampoo)
#endif

#define DECLARE(kind) extern const lopt__kind lopt__##kind;
KINDS(DECLARE)

#define ADDRESS(kind) &lopt__##kind,
static const lopt__kind *const kinds[] = {KINDS(ADDRESS)};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

const lopt__preset *lopt__preset_find(const char *name, const lopt__kind **kind) {
    for (size_t k = 0; k < N_KINDS; k++)
        for (int i = 0; i < kinds[k]->n_presets; i++)
            if (strcmp(kinds[k]->presets[i].info.name, name) == 0) {
                *kind = kinds[k];
                return &kinds[k]->presets[i];
            }
    return NULL;
}

size_t lopt_n_presets(void) {
    size_t n = 0;
    for (size_t k = 0; k < N_KINDS; k++) n += (size_t)kinds[k]->n_presets;
    return n;
}

const lopt_preset_info *lopt_preset(size_t i) {
    for (size_t k = 0; k < N_KINDS; k++) {
        size_t n = (size_t)kinds[k]->n_presets;
        if (i < n) return &kinds[k]->presets[i].info;
        i -= n;
    }
    return NULL;
}

int lopt_hyper(const char *preset, size_t i, lopt_hyper_info *out) {
    const lopt__kind *kind;
    if (!lopt__preset_find(preset, &kind) || i >= (size_t)kind->n_hypers) return 0;
    const lopt__hyper *h = &kind->hypers[i];
    *out = (lopt_hyper_info){h->name, lopt__type_name(h->type), h->count, h->min, h->max, h->choices, h->help};
    return 1;
}
