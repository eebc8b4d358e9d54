/* SPDX-License-Identifier: Apache-2.0
 *
 * error.h - exit statuses and error messages of the program.
 *
 *     if (!f)
 *         return mt_error(err, LOPT_EIO, "%s: %s", path, strerror(errno));    fills *err, returns 0
 *     ...
 *     return mt_print_error(&err);                    a command prints it and returns its exit status
 *
 * A function that can fail returns 1, or 0 with a message in *err; commands, and a run on its ranks, print. A message is one
 * sentence: which file or key, what was found, what is allowed, what to do. */
#ifndef MT_ERROR_H
#define MT_ERROR_H

#include "lopt.h"

/* done; the work failed; bad usage or bad input, nothing was changed; stopped early with state saved. */
enum { MT_DONE = 0, MT_FAILED = 1, MT_BAD_INPUT = 2, MT_STOPPED = 75 };

/* Prints "metatrain: MESSAGE" on stderr; returns MT_BAD_INPUT for LOPT_EARG, LOPT_ESHAPE, LOPT_EUNKNOWN, else MT_FAILED. */
int mt_print_error(const lopt_error *err);
/* Prints "metatrain: warning: MESSAGE" on stderr. */
void mt_print_warning(const char *message);
/* Prints a warning unless ok: a failure that the work survives. Returns ok. */
int mt_warn_on_error(int ok, const lopt_error *err);
/* Fills *err (which may be NULL) with a status and a printf-formatted message; returns 0. */
int mt_error(lopt_error *err, lopt_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* lets clang-tidy know what it returns, without seeing error.c */
#define mt_error(...) (mt_error(__VA_ARGS__), 0)
#endif

#endif
