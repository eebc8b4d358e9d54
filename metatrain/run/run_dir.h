/* SPDX-License-Identifier: Apache-2.0
 *
 * run_dir.h - the folder of a run belongs to one run at a time.
 *
 *     int lock = mt_run_dir_claim(dir, keep, &err);     -1 and a sentence
 *     ...
 *     mt_run_dir_release(lock);                         also at exit, however the process ends
 *
 * A folder in use by a living process is refused. keep = 0 (a fresh start): an earlier run found in dir is
 * moved aside whole, to dir.old-1, dir.old-2, ...; keep = 1 (a resume): what is there stays, and a pipe or folder in
 * the place of a file of the run is refused. The lock is an
 * fcntl lock on dir/.lock; on file systems without locks it is only a warning. */
#ifndef MT_RUN_DIR_H
#define MT_RUN_DIR_H

#include "lopt.h"

int mt_run_dir_claim(const char *dir, int keep, lopt_error *err);
void mt_run_dir_release(int lock); /* negative is fine */

#endif
