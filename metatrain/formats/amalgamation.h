/* SPDX-License-Identifier: Apache-2.0
 *
 * amalgamation.h - the sources of liblopt that one kind of optimizer needs, as one piece of C for a header file.
 *
 *     mt_amalgamation_print(f, "small_fc", "theta", &err);
 *
 * The sources are part of the program (cmake/embed_sources.cmake). A header and its .c file are a unit; those that the
 * kind's file includes, directly or not, are printed in the order of their arrows, which have no circles, so that every
 * function is defined before it is used. The code is that of the library but for
 *
 *     names     what stands at file scope begins with the prefix (theta_lopt_step), so that two headers go together
 *     linkage   everything is static, and declarations are left out
 *     C++       `restrict`, `_Alignas` and `_Static_assert` are written so that both languages have them
 *     choices   LOPT_EMBEDDED is defined: one thread, the portable kernels
 *
 * It relies on how the sources are laid out: what begins in the first column is at file scope (clang-format). It
 * compiles as C11 and as C++17 as long as src/ keeps to what both have (docs/adding-an-optimizer.md). */
#ifndef MT_AMALGAMATION_H
#define MT_AMALGAMATION_H

#include <stdio.h>

#include "lopt.h"

typedef struct mt_source {
    const char *name; /* "core/state.c"; NULL past the last */
    const char *text;
} mt_source;

extern const mt_source mt_lopt_sources[];

/* kind: a file in src/optimizers/. 1, or 0 and a message if memory is short. */
int mt_amalgamation_print(FILE *f, const char *kind, const char *prefix, lopt_error *err);

#endif
