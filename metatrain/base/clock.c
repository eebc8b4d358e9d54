/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.c - see clock.h. */
#include "base/clock.h"

#include <time.h>

static double clock_seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double mt_wall_seconds(void) {
    return clock_seconds(CLOCK_MONOTONIC);
}

double mt_cpu_seconds(void) {
    return clock_seconds(CLOCK_THREAD_CPUTIME_ID);
}

double mt_process_seconds(void) {
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}
