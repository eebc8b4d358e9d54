/* SPDX-License-Identifier: Apache-2.0
 *
 * pylo_call.h - which class of PyLO steps like an optimizer of ours, and with what arguments.
 *
 *     kind small_fc   AdafacLO_naive, or ELO_naive where weight decay is taken of p before the step
 *     kind velo       VeLO_naive
 *     kind celo2      CELO2_naive, or ELO_CELO2_naive where Adam shares the moments
 *
 * The files of PyLO hold networks alone; everything else is an argument of the constructor, or
 * fixed. */
#ifndef MT_PYLO_ARGUMENTS_H
#define MT_PYLO_ARGUMENTS_H

#include <stdio.h>

#include "lopt.h"

const char *mt_pylo_class(const lopt_optimizer *opt);  /* NULL: PyLO has none */
const char *mt_pylo_module(const lopt_optimizer *opt); /* of pylo.optim */

/* "lr=1, step_mult=0.01, ...", as Python. */
void mt_pylo_print_arguments(FILE *f, const lopt_optimizer *opt);

/* A line for each setting that the class cannot be given. */
void mt_pylo_print_limits(FILE *f, const char *indent, const lopt_optimizer *opt);

#endif
