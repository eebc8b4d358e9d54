/* SPDX-License-Identifier: Apache-2.0
 *
 * dataset.h - a labelled data set in memory: found, read, resized, split; shared by tasks.
 *
 *     const task_dataset *d = task_dataset_of(spec, &err);    dataset, data_path, image_size, grey, data_split
 *     task_dataset_draw(d, TASK_TRAIN, &rng, batch, images, labels);
 *     task_dataset_close(d);
 *
 * Where     sources.h: names, folders, formats; docs/data.md is the user's page.
 * Splits    the training part, in the order of a fixed permutation (Fisher-Yates from the stream
 *           {0, LOPT_RNG_SPLIT, 0, 0, 0}), is cut into train 0-80 %, inner_valid 80-90 %, outer_valid
 *           90-100 %; test is the test part. A set without a test part gives its last fifth in that
 *           order; one with inner_valid and outer_valid parts is used as it is. The permutation depends
 *           on the number of examples only. TASK_SPLIT_PUBLISHED: train is 0-1 % of cifar100,
 *           svhn_cropped and food101, as the code of published results has it (it takes min(1, 80) where
 *           max was meant), and 80 % elsewhere.
 * Images    0..1, [rows, cols, channels], one row each, in split order; resized to size x size (size 0:
 *           as in the file), then divided by 255, then, if grey, the mean of the channels. Where pixels
 *           are whole fractions of a byte's step (28 or 32 to 8: sixteenths), they are kept as 16-bit
 *           codes, in half the memory, and converted to the same floats when drawn; else as reals.
 * Tables    [1, features, 1], each feature with mean 0 and deviation 1 over the train split; size and
 *           grey do not apply to them.
 * Shared    between tasks of a process, kept while anyone uses a set, and between the processes of a
 *           machine (shared.h). Not thread-safe.
 * Source    learned_optimization, Metz et al. 2022 (splits, order of the steps on pixels). */
#ifndef TASK_DATASET_H
#define TASK_DATASET_H

#include "base/spec.h"

typedef struct task_dataset {
    int n_rows, n_cols, n_channels;
    int n_pixels; /* product of the three */
    int n_classes, is_image;
    size_t begin[TASK_N_SPLITS], count[TASK_N_SPLITS]; /* rows of images and labels */
    real max_code;                                     /* a pixel is code / max_code */
    const uint16_t *codes;                             /* [sum of count, n_pixels], or NULL and */
    const real *images;                                /* the same of numbers */
    const uint16_t *labels;
} task_dataset;

const task_dataset *task_dataset_of(const task_spec *spec, lopt_error *err);
/* The same in colour and with 80 % to train. */
const task_dataset *task_dataset_open(const char *name, const char *data_path, int size, lopt_error *err);
void task_dataset_close(const task_dataset *d); /* NULL is fine */

/* Images of rows[n], images[n, n_pixels]. */
void task_dataset_gather(const task_dataset *d, int n, const int32_t *rows, real *images);

/* A batch of independent draws with replacement: images[batch, n_pixels], labels[batch]. */
void task_dataset_draw(const task_dataset *d, task_split split, lopt_rng_stream *r, int batch, real *images,
                       int32_t *labels);

#endif
