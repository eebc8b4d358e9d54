/* SPDX-License-Identifier: Apache-2.0
 *
 * peak.h - what measured times are compared with, to be timed beside them (timer.h). */
#ifndef MT_BENCH_PEAK_H
#define MT_BENCH_PEAK_H

#include <stddef.h>

#include "bench/timer.h"
#include "lopt.h"

/* Multiply-adds with the widest vectors of this machine: one call is mt_peak_flop() operations. */
mt_timed mt_peak_timed(void);
double mt_peak_flop(void);

/* memcpy, which moves twice `bytes` in a call (read and written). */
typedef struct mt_copy {
    size_t bytes;
    char *from, *to;
} mt_copy;

int mt_copy_open(mt_copy *c, size_t bytes, lopt_error *err); /* 0 and a sentence */
void mt_copy_close(mt_copy *c);
void mt_copy_run(void *copy);

#endif
