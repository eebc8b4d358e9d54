/* SPDX-License-Identifier: Apache-2.0
 *
 * bible.c - see bible.h. */
#include "data/bible.h"

#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

#define MAGIC "EC02Compressed Data File"
enum { HEADER = 84, FIRST_BITS = 9, LAST_BITS = 16, CLEAR = 256, MAX_WINDOW = 1 << 20, MAX_WINDOWS = 1024 };

int task_is_bible(const unsigned char *file, size_t n) {
    return n > HEADER + 8 && memcmp(file, MAGIC, sizeof MAGIC - 1) == 0;
}

/* ---- LZW ------------------------------------------------------------------------------------- */

typedef struct unpacker {
    const unsigned char *in;
    size_t n_bits, at, group; /* at: the next bit; group: where the codes of this width began */
    int bits, n_codes;
    uint16_t prefix[1 << LAST_BITS];
    unsigned char last[1 << LAST_BITS];
} unpacker;

/* Codes of one width come eight at a time: the rest of a group is skipped when the width changes. */
static void set_code_width(unpacker *u, int bits) {
    size_t bits_a_group = 8 * (size_t)u->bits;
    u->at = u->group + (u->at - u->group + bits_a_group - 1) / bits_a_group * bits_a_group;
    u->group = u->at;
    u->bits = bits;
}

static int read_next_code(unpacker *u) {
    if (u->n_codes > (1 << u->bits) - 1 && u->bits < LAST_BITS) set_code_width(u, u->bits + 1);
    if (u->at + (size_t)u->bits > u->n_bits) return -1;
    int code = 0;
    for (int k = 0; k < u->bits; k++, u->at++) code |= (u->in[u->at / 8] >> (u->at % 8) & 1) << k;
    return code;
}

/* Puts the bytes of a code at out; how many, or 0 if there is no room. */
static size_t write_code_bytes(const unpacker *u, uint16_t code, unsigned char *out, size_t room) {
    size_t n = 1;
    for (uint16_t c = code; c > 255; c = u->prefix[c]) n++;
    if (n > room) return 0;
    for (size_t k = n; k-- > 0; code = u->prefix[code]) out[k] = code > 255 ? u->last[code] : (unsigned char)code;
    return n;
}

/* The bytes unpacked, at most room; 0: damaged. A code stands for an earlier one and a byte more. */
static size_t unpack_lzw(unpacker *u, const unsigned char *in, size_t n, unsigned char *out, size_t room) {
    u->in = in, u->n_bits = 8 * n, u->at = u->group = 0, u->bits = FIRST_BITS, u->n_codes = CLEAR + 1;
    size_t n_out = 0, n_before = 0;
    for (int before = -1, code; (code = read_next_code(u)) >= 0; before = code) {
        if (code == CLEAR) {
            u->n_codes = CLEAR + 1;
            set_code_width(u, FIRST_BITS);
            code = -1;
            continue;
        }
        if (code > u->n_codes || (before < 0 && code > 255)) return 0;
        int adds = before >= 0 && u->n_codes < 1 << LAST_BITS;
        if (adds) { /* its last byte begins the string to come, which begins like the one before if it is this code */
            u->prefix[u->n_codes] = (uint16_t)before;
            u->last[u->n_codes] = out[n_out - n_before];
        }
        n_before = write_code_bytes(u, (uint16_t)code, out + n_out, room - n_out);
        if (!n_before) return 0;
        if (adds) u->last[u->n_codes++] = out[n_out];
        n_out += n_before;
    }
    return n_out;
}

/* ---- verses ---------------------------------------------------------------------------------- */

/* "Ge1:1 In the beginning": the length of what comes before the verse, and of it the chapter. */
static size_t measure_reference(const unsigned char *line, size_t n, size_t *chapter) {
    const unsigned char *space = memchr(line, ' ', n < 16 ? n : 16);
    const unsigned char *colon = space ? memchr(line, ':', (size_t)(space - line)) : NULL;
    if (!colon) return 0;
    *chapter = (size_t)(colon - line);
    return (size_t)(space - line) + 1;
}

/* In place: what is dropped of a line makes room for an empty one. */
static size_t drop_references(unsigned char *text, size_t n) {
    char now[16] = "";
    size_t to = 0;
    for (size_t at = 0; at < n;) {
        const unsigned char *stop = memchr(text + at, '\n', n - at);
        size_t end = stop ? (size_t)(stop - text) + 1 : n, chapter = 0;
        size_t skip = measure_reference(text + at, end - at, &chapter);
        if (skip && (strlen(now) != chapter || memcmp(now, text + at, chapter) != 0)) {
            memcpy(now, text + at, chapter);
            now[chapter] = 0;
            text[to++] = '\n';
        }
        memmove(text + to, text + at + skip, end - at - skip);
        to += end - at - skip;
        at = end;
    }
    return to;
}

/* ---- the file -------------------------------------------------------------------------------- */

static size_t read_word_at(const unsigned char *p) {
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* All windows into out[n_windows * window]; 0: damaged. */
static size_t unpack_all_windows(unpacker *u, const unsigned char *file, size_t n, size_t window, size_t n_windows,
                                 unsigned char *out) {
    const unsigned char *offsets = file + HEADER + 8;
    size_t n_out = 0;
    for (size_t i = 0; i < n_windows; i++) {
        size_t begin = read_word_at(offsets + 4 * i), end = read_word_at(offsets + 4 * i + 4);
        if (begin > end || end > n) return 0;
        size_t got = unpack_lzw(u, file + begin, end - begin, out + n_out, window);
        if (!got) return 0;
        n_out += got;
    }
    return n_out;
}

int task_bible_unpack(const char *path, const unsigned char *file, size_t n, unsigned char **out, size_t *n_out,
                      lopt_error *err) {
    size_t window = read_word_at(file + HEADER), n_windows = read_word_at(file + HEADER + 4);
    if (!window || window > MAX_WINDOW || !n_windows || n_windows > MAX_WINDOWS ||
        HEADER + 8 + 4 * (n_windows + 1) > n) {
        return task_set_error(err, LOPT_EARG, "%s: damaged: claims %zu windows of %zu bytes", path, n_windows, window);
    }
    unpacker *u = calloc(1, sizeof *u);
    *out = malloc(n_windows * window);
    if (u && *out) *n_out = unpack_all_windows(u, file, n, window, n_windows, *out);
    int made = u && *out;
    free(u);
    if (!made) return task_set_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    if (!*n_out) return task_set_error(err, LOPT_EARG, "%s: damaged: a window cannot be unpacked", path);
    *n_out = drop_references(*out, *n_out);
    return 1;
}
