/* SPDX-License-Identifier: Apache-2.0
 *
 * msgpack_check.h - walks MessagePack before a library unpacks it.
 *
 * msgpack-c takes memory for as many items as a header claims, before it looks whether they are
 * there. This walk reads headers alone: every length must lie in the bytes that are left, every
 * item takes at least one byte, and depth and number of items are bounded. It allocates nothing. */
#ifndef MT_MSGPACK_CHECK_H
#define MT_MSGPACK_CHECK_H

#include "lopt.h"

enum { MT_MSGPACK_DEPTH = 24, MT_MSGPACK_ITEMS = 1 << 20 };

/* Whether bytes[n] are exactly one object; else 0 and a sentence that starts with `what`. */
int mt_msgpack_check(const char *what, const unsigned char *bytes, size_t n, lopt_error *err);

#endif
