/* SPDX-License-Identifier: Apache-2.0
 *
 * status_file.h - DIR/status.json: how a run stands, for scripts, since mpirun hides exit statuses.
 *
 *     {"state": "stopped", "status": 75, "outer_step": 120, "version": "0.1.0"}
 *
 * state is running, stopped, done or failed; status is the exit status of the command, null while it runs.
 * Written through atomic_file.h: a reader sees the old or the new one, whole. */
#ifndef MT_STATUS_FILE_H
#define MT_STATUS_FILE_H

#include <stdint.h>

#include "lopt.h"

typedef enum mt_state { MT_STATE_RUNNING, MT_STATE_STOPPED, MT_STATE_DONE, MT_STATE_FAILED } mt_state;

typedef struct mt_status {
    mt_state state;
    int status; /* exit status; ignored while running */
    int64_t outer_step;
    char version[64]; /* of the program that wrote it; filled by mt_status_read */
} mt_status;

/* dir is the run's folder. 1, or 0 and a sentence. */
int mt_status_write(const char *dir, const mt_status *status, lopt_error *err);
int mt_status_read(const char *dir, mt_status *status, lopt_error *err);

#endif
