/* SPDX-License-Identifier: Apache-2.0
 *
 * raw.h - examples as a file holds them, and whole files in memory.
 *
 *     size_t n;
 *     unsigned char *bytes = task_file_bytes("train.bin.gz", &n, &err);       free() it
 *     task_raw raw = {.rows = 32, .cols = 32, .channels = 3};
 *     if (!task_raw_reserve(&raw, n_images, 0, &err)) ...                     room for so many
 *     task_raw_free(&raw);
 *
 * A reader fills one task_raw a part (training, test, ...), trusting no length of the file; what
 * concerns several parts or the labels' meaning is checked once for all readers in dataset.c.
 * Errors are one message that begins with the path. */
#ifndef TASK_RAW_H
#define TASK_RAW_H

#include "base/spec.h"

enum { TASK_PATH = 2048 };

#define TASK_RAW_MAX_SIDE 1024
#define TASK_RAW_MAX_BYTES ((size_t)16 << 30)
#define TASK_FILE_MAX_BYTES ((size_t)2 << 30) /* of one file in memory, unpacked */

typedef struct task_raw {
    size_t n, n_labels;
    int rows, cols, channels;
    unsigned char *bytes;                         /* images [n, rows, cols, channels], 0..255; or NULL and */
    float *numbers;                               /* a table of features, of the same shape */
    int32_t *labels;                              /* [n_labels] */
    int n_classes;                                /* 0: as many as the largest label of training says */
    char path[TASK_PATH], labels_path[TASK_PATH]; /* for messages; the second may be "" */
} task_raw;

/* Makes room for n examples of raw's shape in bytes (or numbers, if as_numbers) and labels, keeping
 * what is there; refuses impossible sizes. n and n_labels are left to the reader. */
int task_raw_reserve(task_raw *raw, size_t n, int as_numbers, lopt_error *err);
void task_raw_free(task_raw *raw);

/* The content of a file, unpacked where it is gzip, with a 0 after its end. */
unsigned char *task_file_bytes(const char *path, size_t *n, lopt_error *err);

/* Opens a regular file for zlib, which reads plain files as they are (a pipe would wait for who
 * writes to it). */
struct gzFile_s *task_file_open(const char *path, lopt_error *err);

#endif
