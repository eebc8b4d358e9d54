/* SPDX-License-Identifier: Apache-2.0
 *
 * atomic_file.h - files that are complete or absent, whenever the process or the machine stops.
 *
 *     mt_write_atomically(path, data, n, &err);     DIR/.NAME.partial: write, sync; rename to NAME; sync DIR
 *
 * A failure (disk full, quota, I/O error) removes the partial file, leaves what `path` held before, and
 * gives one sentence. Statuses: LOPT_EIO where the device failed, LOPT_EARG where the path cannot be used
 * (no such folder, no permission, not a regular file). All return 1, or 0 with a sentence. */
#ifndef MT_DURABLE_H
#define MT_DURABLE_H

#include <stddef.h>

#include "lopt.h"

/* Where `path` is built: the same folder, ".NAME.partial". */
int mt_partial_path(const char *path, char *partial, size_t partial_bytes, lopt_error *err);

int mt_write_atomically(const char *path, const void *data, size_t n, lopt_error *err);

/* Renames from to to (same folder; replaces a file) and syncs the folder. */
int mt_durable_rename(const char *from, const char *to, lopt_error *err);

/* Makes the names in the folder that holds path durable. */
int mt_sync_folder_of(const char *path, lopt_error *err);

/* Gives a finished folder its name; a folder of that name is replaced and removed, in one go where
 * the file system can exchange names (else it is moved aside first). */
int mt_durable_replace_folder(const char *partial, const char *path, lopt_error *err);

int mt_make_folders(const char *path, lopt_error *err); /* like mkdir -p */
int mt_remove_tree(const char *path);                   /* 1 if path is gone; follows no links */

#endif
