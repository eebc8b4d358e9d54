/* SPDX-License-Identifier: Apache-2.0
 *
 * amalgamation.h - the sources of liblopt that one kind of optimizer needs, as one piece of C for a header file.
 *
 *     mt_amalgamation_print(f, "small_fc", "theta", &err);
 *
 * The sources are part of the program (cmake/embed_sources.cmake). Those that the kind's file includes, directly or
 * not, are printed in the order of their arrows, so that no function is used before it is declared. The code is that of
 * the library, word for word, but
 *
 *     names       what stands at file scope begins with the prefix: theta_lopt_step, so that two headers go together
 *     linkage     everything is static
 *     C++         pointers are cast where C converts void * by itself, `restrict` is written __restrict
 *     LOPT_EMBEDDED is defined: one thread, and the portable kernels, which the caller's code has to name
 *
 * It compiles as C11 and as C++17. */
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
