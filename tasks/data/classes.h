/* SPDX-License-Identifier: Apache-2.0
 *
 * classes.h - a data set from pictures: a folder with one sub-folder per class, or an array.
 *
 *     task_raw raw = {0};
 *     char *names = NULL;
 *     if (!task_classes_read("flowers/train", 32, &raw, &names, &err)) ...   names: "daisy\nrose\n"
 *
 * Sub-folders in order of their names (bytes) are classes 0, 1, ...; every file in them but those that
 * begin with '.' is a PNG, PPM or PGM picture, taken in order of names. size > 0: every picture becomes
 * size x size (bilinear as resize.h says, aspect ratio ignored, rounded down); 0: all must be of one
 * size. Grey pictures among coloured ones get three equal channels. */
#ifndef TASK_CLASSES_H
#define TASK_CLASSES_H

#include "data/image.h"

/* *names NULL: receives the classes, one a line, for the caller to free; else they must be the same. */
int task_classes_read(const char *folder, int size, task_raw *raw, char **names, lopt_error *err);

/* Adds a picture to raw as said above; *room counts the examples that raw has memory for (0 at first). */
int task_classes_add(task_raw *raw, size_t *room, const task_image *image, int size, int32_t label, lopt_error *err);

#endif
