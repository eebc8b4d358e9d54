/* SPDX-License-Identifier: Apache-2.0
 *
 * text_file.h - small text files, read whole and replaced whole. */
#ifndef MT_TEXT_FILE_H
#define MT_TEXT_FILE_H

#include <stddef.h>

#include "lopt.h"

/* The file's bytes and a closing zero, *n without it; the caller frees. NULL and a sentence naming the file
 * if it cannot be read or is larger than max_bytes. n may be NULL. */
char *mt_text_read(const char *path, size_t max_bytes, size_t *n, lopt_error *err);

/* Writes path.partial, syncs it, renames it to path, syncs the folder: a reader, or the machine after a
 * power failure, has the old or the new file, whole. 1, or 0 and a sentence (LOPT_EIO). */
int mt_text_replace(const char *path, const char *text, size_t n, lopt_error *err);

/* The steps of mt_text_replace, for files made by other means: path.partial is there and closed. */
int mt_partial_path(const char *path, char *partial, size_t bytes, lopt_error *err);
int mt_partial_publish(const char *path, lopt_error *err);

#endif
