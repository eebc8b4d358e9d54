/* SPDX-License-Identifier: Apache-2.0
 *
 * dataset.h - a labelled image set in memory: found, read, resized, split; shared by tasks.
 *
 *     const task_dataset *d = task_dataset_open("fashion_mnist", spec->data_path, 8, &err);
 *     task_dataset_draw(d, TASK_TRAIN, &rng, batch, images, labels);
 *     task_dataset_close(d);
 *
 * Where     the folders of data_path (separated by ':'), then /usr/share/datasets. In each, a
 *           sub-folder named as the set (fashion-mnist or fashion_mnist) comes before the folder
 *           itself. A set name with a '/' is the folder. The first place with training images is
 *           used; the four files have their usual names (train-images-idx3-ubyte, ...), with or
 *           without .gz.
 * Splits    the training file, in the order of a fixed permutation (Fisher-Yates from the stream
 *           {0, RANDOM_SPLIT, 0, 0, 0}), is cut into train 0-80 %, inner_valid 80-90 %, outer_valid
 *           90-100 %; test is the test file. The permutation depends on the number of images only.
 * Pixels    0..1, size x size (size 0: as in the file), one row per image, in split order. Where
 *           resizing gives whole fractions of a byte's step (28 or 32 to 8: sixteenths), they are
 *           kept as 16-bit codes, in half the memory, and made into the same floats when drawn;
 *           else as numbers.
 * Shared    sets are kept by (folder, size) while anyone uses them, so opening one twice costs
 *           nothing. Not thread-safe. */
#ifndef TASK_DATASET_H
#define TASK_DATASET_H

#include "task.h"

typedef struct task_dataset {
    int n_rows, n_cols, n_pixels, n_classes;
    size_t begin[TASK_N_SPLITS], count[TASK_N_SPLITS]; /* rows of images and labels */
    real most;       /* a pixel is code over most */
    uint16_t *codes; /* [sum of count, n_pixels], or NULL and */
    real *images;    /* the same of numbers */
    unsigned char *labels;
} task_dataset;

const task_dataset *task_dataset_open(const char *name, const char *data_path, int size,
                                      lopt_error *err);
void task_dataset_close(const task_dataset *d); /* NULL is fine */

/* Images of rows[n], images[n, n_pixels]. */
void task_dataset_gather(const task_dataset *d, int n, const int32_t *rows, real *images);

/* A batch of independent draws with replacement: images[batch, n_pixels], labels[batch]. */
void task_dataset_draw(const task_dataset *d, task_split split, random_stream *r, int batch,
                       real *images, int32_t *labels);

#endif
