/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.c - see digest.h. */
#include "base/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/read_file.h"

void mt_digest_begin(mt_digest *d) {
    XXH3_128bits_reset(&d->state);
}

void mt_digest_add(mt_digest *d, const void *data, size_t n) {
    XXH3_128bits_update(&d->state, data, n);
}

void mt_digest_end(mt_digest *d, char hex[MT_DIGEST_HEX]) {
    XXH128_canonical_t bytes; /* big endian: the same digits on every machine */
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(&d->state));
    for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", bytes.digest[i]);
}

int mt_digest_file(const char *path, int64_t skip, char hex[MT_DIGEST_HEX], int64_t *n_bytes, lopt_error *err) {
    static const size_t buffer_bytes = 1 << 16;
    char buffer[1 << 16];
    FILE *f = mt_file_open(path, err);
    if (!f) return 0;
    mt_digest d;
    mt_digest_begin(&d);
    size_t n;
    *n_bytes = 0;
    while ((n = fread(buffer, 1, buffer_bytes, f)) > 0) {
        int64_t left_out = skip - *n_bytes;
        size_t from = left_out <= 0 ? 0 : (uint64_t)left_out < n ? (size_t)left_out : n;
        mt_digest_add(&d, buffer + from, n - from);
        *n_bytes += (int64_t)n;
    }
    int failed = ferror(f);
    fclose(f);
    if (failed) return mt_error(err, LOPT_EARG, "%s: cannot read this file: %s", path, strerror(errno));
    mt_digest_end(&d, hex);
    return 1;
}
