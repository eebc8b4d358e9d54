/* SPDX-License-Identifier: Apache-2.0
 *
 * slow_shim.c - makes one rank slow, as a machine of another speed would be: preloaded, it lets rank SLOW_RANK
 * sleep whenever it looks for messages, which is between inner steps too (worker.c), SLOW_FACTOR - 1 times as
 * long as it was busy since it looked last, naps of its own included. The program itself does not know. */
#include <mpi.h>
#include <stdlib.h>
#include <time.h>

#define LONGEST 5e-3 /* seconds that count: reading data and waiting for others are no work */

static double number(const char *name, double otherwise) {
    const char *text = getenv(name);
    return text ? strtod(text, NULL) : otherwise;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Naps below 50 us would be longer than they ought to be. */
int MPI_Iprobe(int from, int tag, MPI_Comm comm, int *flag, MPI_Status *status) {
    static double last;
    double busy = last > 0 ? seconds() - last : 0;
    double nap = (busy < LONGEST ? busy : LONGEST) * (number("SLOW_FACTOR", 1) - 1);
    struct timespec t = {(time_t)nap, (long)(1e9 * (nap - (double)(time_t)nap))};
    if (number("OMPI_COMM_WORLD_RANK", -1) == number("SLOW_RANK", -2) && nap > 50e-6) nanosleep(&t, NULL);
    last = seconds();
    return PMPI_Iprobe(from, tag, comm, flag, status);
}
