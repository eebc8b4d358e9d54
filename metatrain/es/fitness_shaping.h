/* SPDX-License-Identifier: Apache-2.0
 *
 * fitness_shaping.h - fitness shaping: losses of a population become numbers of known size.
 *
 *     standardise   (f - mean) / standard deviation, both over the population
 *     range         -1 for the smallest, 1 for the largest, linear between
 *     centred_rank  rank / (n - 1) - 1/2; equal losses share the mean of their ranks
 *
 * Smaller stays better. NaN stays NaN and does not count; where all losses are equal, all become 0.
 * Sources: Salimans et al. 2017 (ranks), evosax (Lange 2022). */
#ifndef MT_FITNESS_SHAPING_H
#define MT_FITNESS_SHAPING_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* fitness[n] in place; order[n] is scratch. none and sign change nothing. */
void mt_shape_fitness(mt_shaping how, size_t n, double *fitness, size_t *order);

#endif
