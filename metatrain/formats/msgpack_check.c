/* SPDX-License-Identifier: Apache-2.0
 *
 * msgpack_check.c - see formats/msgpack_check.h; headers as in the MessagePack specification. */
#include "formats/msgpack_check.h"

#include "base/error.h"

/* What a header byte from 0xc0 to 0xdf says: a length of `length_bytes` follows, then `fixed`
 * bytes; the length counts further bytes (DATA) or items (ARRAY, and MAP by two). */
typedef enum content { UNUSED, DATA, ARRAY, MAP } content;

typedef struct header_form {
    unsigned char content, length_bytes, fixed;
} header_form;

static const header_form forms[32] = {
    {DATA, 0, 0},  {UNUSED, 0, 0}, {DATA, 0, 0}, {DATA, 0, 0}, /* nil, -, false, true */
    {DATA, 1, 0},  {DATA, 2, 0},   {DATA, 4, 0},               /* bin */
    {DATA, 1, 1},  {DATA, 2, 1},   {DATA, 4, 1},               /* ext: a type byte, then data */
    {DATA, 0, 4},  {DATA, 0, 8},                               /* floats */
    {DATA, 0, 1},  {DATA, 0, 2},   {DATA, 0, 4}, {DATA, 0, 8}, /* unsigned integers */
    {DATA, 0, 1},  {DATA, 0, 2},   {DATA, 0, 4}, {DATA, 0, 8}, /* integers */
    {DATA, 0, 2},  {DATA, 0, 3},   {DATA, 0, 5}, {DATA, 0, 9}, /* ext of 1, 2, 4, 8 bytes */
    {DATA, 0, 17},                                             /* ext of 16 */
    {DATA, 1, 0},  {DATA, 2, 0},   {DATA, 4, 0},               /* str */
    {ARRAY, 2, 0}, {ARRAY, 4, 0},  {MAP, 2, 0},  {MAP, 4, 0},
};

typedef struct item {
    uint64_t bytes; /* of the header and its data */
    uint64_t items; /* inside it */
} item;

/* 0 if the header is no header or is cut off. */
static int read_item(const unsigned char *p, size_t left, item *it) {
    unsigned char b = p[0];
    *it = (item){1, 0};
    if (b <= 0x7f || b >= 0xe0) return 1;
    if (b <= 0x9f) {
        it->items = b <= 0x8f ? 2 * (b & 15u) : b & 15u;
        return 1;
    }
    if (b <= 0xbf) {
        it->bytes += b & 31u;
        return 1;
    }
    const header_form *form = &forms[b - 0xc0];
    uint64_t length = 0;
    if (form->content == UNUSED || 1u + form->length_bytes > left) return 0;
    for (int i = 0; i < form->length_bytes; i++) length = length << 8 | p[1 + i];
    it->bytes += (uint64_t)form->length_bytes + form->fixed;
    if (form->content == DATA)
        it->bytes += length;
    else
        it->items = form->content == MAP ? 2 * length : length;
    return 1;
}

int mt_msgpack_check(const char *what, const unsigned char *bytes, size_t n, lopt_error *err) {
    uint64_t waiting[MT_MSGPACK_DEPTH] = {1}; /* items still to come at each depth */
    int depth = 0;
    size_t at = 0, items = 0;
    while (depth >= 0) {
        item it;
        if (waiting[depth] == 0) {
            depth--;
            continue;
        }
        if (at == n || !read_item(bytes + at, n - at, &it) || it.bytes > n - at || it.items > n - at - it.bytes)
            return mt_error(err, LOPT_EARG, "%s: not MessagePack: damaged or cut off at byte %zu of %zu", what, at, n);
        at += it.bytes;
        waiting[depth]--;
        if (++items > MT_MSGPACK_ITEMS)
            return mt_error(err, LOPT_EARG, "%s: more than %d items of MessagePack", what, MT_MSGPACK_ITEMS);
        if (it.items == 0) continue;
        if (++depth == MT_MSGPACK_DEPTH)
            return mt_error(err, LOPT_EARG, "%s: MessagePack nested deeper than %d", what, MT_MSGPACK_DEPTH);
        waiting[depth] = it.items;
    }
    if (at != n) return mt_error(err, LOPT_EARG, "%s: not MessagePack: %zu bytes after its only object", what, n - at);
    return 1;
}
