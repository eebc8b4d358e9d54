/* SPDX-License-Identifier: Apache-2.0
 *
 * dataset_hdf5.h - labelled data sets in HDF5, which `metatrain data convert` writes.
 *
 *     /train/images    uint8   [n, H, W, C] or [n, H, W]      or  /train/features  float32 [n, d]
 *     /train/labels    uint8 or int64 [n], from 0
 *     /test/...        the same; may be missing
 *     /inner_valid/... and /outer_valid/...: both or none
 *
 * Other groups and attributes are ignored, so that files of h5py serve; chunks and deflate are fine.
 * Parts are task_raw of tasks/data/raw.h, in order of task_split. What they say is checked when a set
 * is opened (data/dataset.h). */
#ifndef MT_DATA_FILE_H
#define MT_DATA_FILE_H

#include "data/sources.h"

/* A task_hdf5_reader: call task_source_read_hdf5_with(mt_data_file_read) before tasks are made. */
int mt_data_file_read(const char *path, task_raw parts[TASK_N_SPLITS], lopt_error *err);
/* classes: names, one a line, stored as the text /classes; or NULL. */
int mt_data_file_write(const char *path, const task_raw parts[TASK_N_SPLITS], const char *classes, lopt_error *err);

#endif
