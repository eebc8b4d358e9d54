/* SPDX-License-Identifier: Apache-2.0
 *
 * read_file.h - small files, read whole. (atomic_file.h writes them.)
 *
 * Only regular files are opened: reading a pipe would wait for who writes to it, a device may never end,
 * and every rank reads for itself. The others return the bytes and a closing zero, *n without it (n may be NULL); the caller frees. NULL and a
 * sentence that starts with `path` if the file cannot be read or has more than max_bytes. */
#ifndef MT_TEXT_FILE_H
#define MT_TEXT_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "lopt.h"

/* For reading; NULL and a sentence that starts with `path`. */
FILE *mt_file_open(const char *path, lopt_error *err);
char *mt_text_read(const char *path, size_t max_bytes, size_t *n, lopt_error *err);
char *mt_text_read_stream(FILE *f, const char *path, size_t max_bytes, size_t *n, lopt_error *err);

#endif
