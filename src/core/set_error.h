/* SPDX-License-Identifier: Apache-2.0
 *
 * set_error.h - error messages of the library. */
#ifndef LOPT_SET_ERROR_H
#define LOPT_SET_ERROR_H

#include "lopt.h"

/* Writes the message unless err is NULL; returns 0, so that callers can `return lopt__set_error(...)`. */
int lopt__set_error(lopt_error *err, lopt_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
