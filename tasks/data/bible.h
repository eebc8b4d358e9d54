/* SPDX-License-Identifier: Apache-2.0
 *
 * bible.h - the King James Bible as Debian's package bible-kjv-text has it, as plain text.
 *
 * /usr/lib/bible.data: at byte 84 big-endian words: bytes in a window, number of windows n, then n + 1 offsets into
 * the file. Each window is what compress(1) writes after its three bytes of header: LZW (Welch 1984) with codes
 * of 9 to 16 bits, code 256 clears the table, codes of one width come in groups of eight. */
#ifndef TASK_BIBLE_H
#define TASK_BIBLE_H

#include "base/spec.h"

int task_is_bible(const unsigned char *file, size_t n);

/* The text into *out (malloc), an empty line between chapters, without "Ge1:1 " before the verses. Errors name path. */
int task_bible_unpack(const char *path, const unsigned char *file, size_t n, unsigned char **out, size_t *n_out,
                      lopt_error *err);

#endif
