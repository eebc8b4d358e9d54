/* SPDX-License-Identifier: Apache-2.0
 *
 * nadamw_search.h - random search over the hyperparameters of NAdamW, in the ranges of OptList's rows
 * (Metz et al. 2020, 2002.11887).
 *
 * The published list is a thousand rows chosen out of a random search. Its rows lie in these ranges
 * and have these frequencies, which a row drawn here follows:
 *
 *     learning_rate            log-uniform in [1e-5, 1]
 *     1 - beta1                log-uniform in [1e-3, 1]
 *     1 - beta2                log-uniform in [1e-5, 1]
 *     epsilon                  log-uniform in [1e-8, 1e4]
 *     nesterov                 half of the rows
 *     weight_decay,            a third of the rows has both, a third the one, a third the other;
 *     l2_weight_decay          log-uniform in [1e-5, 0.1]
 *     warmup_fraction          0 in half of the rows, else log-uniform in [1e-5, 0.1]
 *     min_learning_rate_mult   0 in half of the rows, else log-uniform in [1e-5, 1]
 *     constant_fraction        uniform in [0, 1]
 *
 * All have schedule cosine with warmup_rule optlist. A row is a pure function of (seed, index):
 *
 *     lopt__optlist row;
 *     lopt__optlist_row(&row, seed, index);
 *     opt = lopt_create("nadamw", row.setting, LOPT__OPTLIST_SETTINGS, &err); */
#ifndef LOPT_OPTLIST_H
#define LOPT_OPTLIST_H

#include "lopt.h"

#define LOPT__OPTLIST_SETTINGS 12

typedef struct lopt__optlist {
    lopt_setting setting[LOPT__OPTLIST_SETTINGS]; /* values point into text or are constant */
    char text[LOPT__OPTLIST_SETTINGS][32];
} lopt__optlist; /* not to be copied */

void lopt__optlist_row(lopt__optlist *row, uint64_t seed, uint64_t index);

#endif
