/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.h - labelled data sets by name: where each is looked for, in which format, and its reading.
 *
 *     task_source s;
 *     if (!task_source_find("cifar10", data_path, &s, &err)) ...     looks, reads nothing
 *     task_raw parts[TASK_N_SPLITS];
 *     if (!task_source_read(&s, parts, &err)) ...                    task_raw_free each
 *
 * Name      a known set (task_source_known), a synthetic one (synthetic.h), or a path with a '/': a
 *           folder of files in the format of MNIST or CIFAR, or a file that ends in .h5, .csv, .data
 *           or .png. Settings may follow: "FILE.csv label=0", "FILE.png tile=20 classes=10".
 * Where     known sets: the folders of data_path (separated by ':'); in each, sub-folders named after
 *           the set come before the folder itself; then the set's own place in the system. The first
 *           place with the first file is used. Files may end in .gz.
 * Parts     parts[TASK_TRAIN] always; [TASK_TEST] where the set has one; the two in between only where
 *           an HDF5 file has them. What a part lacks has n = 0.
 * HDF5      libtasks knows no HDF5: who links it gives its reader to task_source_read_hdf5_with first.
 * Errors    a missing set says where was looked and what to do. */
#ifndef TASK_SOURCES_H
#define TASK_SOURCES_H

#include "data/raw.h"

enum { TASK_SOURCE_FILES = 6 };

typedef struct task_source {
    int format, n_files, n_classes, first_label, one_percent;
    size_t synthetic; /* which generator */
    char settings[256];
    char files[TASK_SOURCE_FILES][TASK_PATH];
} task_source;

typedef struct task_source_info {
    const char *name, *summary, *package; /* package: Debian's, or NULL */
    const char *get;                      /* what else to do to have it */
} task_source_info;
const task_source_info *task_source_known(size_t i); /* NULL past the last */

int task_source_find(const char *dataset, const char *data_path, task_source *s, lopt_error *err);
int task_source_read(const task_source *s, task_raw parts[TASK_N_SPLITS], lopt_error *err);

/* Everything that the content depends on, for shared.h; 0 where it should not be kept: it does not
 * fit, or a file changed within the last seconds and may change again unnoticed. */
int task_source_key(const task_source *s, char *key, size_t n);

typedef int (*task_hdf5_reader)(const char *path, task_raw parts[TASK_N_SPLITS], lopt_error *err);
void task_source_read_hdf5_with(task_hdf5_reader reader);

#endif
