/* SPDX-License-Identifier: Apache-2.0
 *
 * image.h - one picture (PNG, or PPM and PGM in binary) in memory, and sheets of equal tiles.
 *
 *     task_image image;
 *     if (!task_image_parse("cat.png", bytes, n, &image, &err)) ...   image.bytes[rows, cols, channels]
 *     free(image.bytes);
 *
 * Grey pictures have 1 channel, others 3 (a palette is looked up, transparency lies on black, 16 bits
 * become 8). A picture that claims more than TASK_IMAGE_MAX pixels is refused before memory is asked
 * for. */
#ifndef TASK_IMAGE_H
#define TASK_IMAGE_H

#include "data/raw.h"

#define TASK_IMAGE_MAX ((size_t)1 << 26)

typedef struct task_image {
    int rows, cols, channels;
    unsigned char *bytes;
} task_image;

int task_image_parse(const char *path, const unsigned char *bytes, size_t n, task_image *image, lopt_error *err);

/* A sheet of tiles in rows, class after class, as many of each: tile i has class
 * i n_classes / n_tiles. Fills raw, whose path names the file. */
int task_sheet_parse(const unsigned char *bytes, size_t n, int tile_rows, int tile_cols, int n_classes, task_raw *raw,
                     lopt_error *err);

#endif
