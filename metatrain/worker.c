/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c - what every rank does: unroll windows of its particles, report, save. See run.h. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "run.h"

void mt_run_windows(mt_run *run, int64_t window) {
    mt_unroller_set_theta(&run->unroller, run->theta);
    for (int64_t i = 0; i < run->n_here; i++)
        mt_unroll_window(&run->unroller, &run->particle[i], window, &run->report_here[i]);
}

/* A WINDOW message is its number and theta. */
static void serve_window(mt_run *run, const void *message, size_t bytes) {
    int64_t window;
    size_t theta_bytes = lopt_n_theta(run->optimizer) * sizeof(float);
    if (bytes != sizeof window + theta_bytes)
        mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(&window, message, sizeof window);
    memcpy(run->theta, (const char *)message + sizeof window, theta_bytes);
    mt_run_windows(run, window);
    mt_comm_send(&run->comm, 0, MT_TAG_REPORTS, run->report_here,
                 (size_t)run->n_here * sizeof(mt_report));
}

static void serve_save(mt_run *run, const void *message, size_t bytes) {
    int64_t step;
    lopt_error err = {LOPT_OK, ""};
    if (bytes != sizeof step)
        mt_comm_abort(&run->comm, MT_FAILED);
    memcpy(&step, message, sizeof step);
    mt_run_save_particles(run, step, &err);
    mt_comm_send(&run->comm, 0, MT_TAG_SAVED, &err, sizeof err);
}

int mt_work(mt_run *run) {
    for (;;) {
        int tag, status = MT_FAILED;
        size_t bytes;
        void *message = mt_comm_receive(&run->comm, 0, -1, NULL, &tag, &bytes);
        if (tag == MT_TAG_WINDOW)
            serve_window(run, message, bytes);
        if (tag == MT_TAG_SAVE)
            serve_save(run, message, bytes);
        if (tag == MT_TAG_END && bytes == sizeof status)
            memcpy(&status, message, bytes);
        free(message);
        if (tag == MT_TAG_END)
            return status;
    }
}
