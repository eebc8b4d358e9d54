/* SPDX-License-Identifier: Apache-2.0
 *
 * folder_lock.h - a folder that one process at a time may write to: an fcntl lock on dir/.lock, which ends with the
 * process however that ends. On file systems without locks there is a warning instead. */
#ifndef MT_FOLDER_LOCK_H
#define MT_FOLDER_LOCK_H

#include "lopt.h"

int mt_lock_folder(const char *dir, lopt_error *err); /* -1 and a sentence: in use, or not writable */
void mt_unlock_folder(int lock);                      /* negative is fine */

#endif
