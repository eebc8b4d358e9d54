/* SPDX-License-Identifier: Apache-2.0
 *
 * stop_request.c - see stop_request.h. A signal handler can reach nothing but a global. */
#include "base/stop_request.h"
#include "base/clock.h"

#include <signal.h>
#include <stddef.h>

#include "base/progress.h"

static volatile sig_atomic_t received;
static double deadline;

static void on_signal(int signal_number) {
    if (signal_number == SIGINT && received == SIGINT) signal(SIGINT, SIG_DFL), raise(SIGINT);
    received = signal_number;
}

void mt_stop_watch(double time_limit_seconds) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    deadline = time_limit_seconds > 0 ? mt_wall_seconds() + time_limit_seconds : 0;
}

const char *mt_stop_reason(void) {
    if (received == SIGTERM) return "SIGTERM";
    if (received == SIGINT) return "SIGINT";
    if (received == SIGUSR1) return "SIGUSR1";
    return deadline > 0 && mt_wall_seconds() > deadline ? "the time limit" : NULL;
}
