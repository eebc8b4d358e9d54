/* SPDX-License-Identifier: Apache-2.0
 *
 * idx.c - see idx.h. zlib's gz layer reads plain files as they are. */
#include "data/idx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/task_error.h"
#include "data/raw.h"

#define MAX_COUNT 10000000u
#define MAX_SIDE 1024u
#define MAX_BYTES ((size_t)1 << 31)
#define MAX_DEFLATE_RATIO 1032 /* no deflate stream expands more */

typedef struct reader {
    const char *path;
    gzFile file;
    lopt_error *err;
} reader;

/* Reads exactly n bytes; what names them in the message. */
static int read_idx_bytes(reader *r, const char *what, void *out, size_t n) {
    size_t done = 0;
    while (done < n) {
        size_t left = n - done;
        int got = gzread(r->file, (char *)out + done, (unsigned)(left < (1u << 30) ? left : 1u << 30));
        int code;
        const char *text = gzerror(r->file, &code);
        if (got <= 0 && code != Z_OK && code != Z_BUF_ERROR) {
            return task_set_error(r->err, LOPT_EARG, "%s: damaged: %s", r->path,
                                  code == Z_ERRNO ? strerror(errno) : text);
        }
        if (got <= 0) {
            return task_set_error(r->err, LOPT_EARG, "%s: truncated: %s ends after %zu of %zu bytes", r->path, what,
                                  done, n);
        }
        done += (size_t)got;
    }
    return 1;
}

static uint32_t read_big_endian(const unsigned char b[4]) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int read_idx_header(reader *r, int rank, task_idx *out) {
    unsigned char header[16] = {0};
    if (!read_idx_bytes(r, "the header", header, 4 + 4 * (size_t)rank)) return 0;
    uint32_t magic = read_big_endian(header), expected = 0x0800u + (uint32_t)rank;
    if (magic != expected) {
        return task_set_error(r->err, LOPT_EARG, "%s: not an IDX file of %s: begins with 0x%08x, expected 0x%08x",
                              r->path, rank == 1 ? "labels" : "images", magic, expected);
    }
    uint32_t n = read_big_endian(header + 4);
    uint32_t rows = rank == 3 ? read_big_endian(header + 8) : 1, cols = rank == 3 ? read_big_endian(header + 12) : 1;
    if (n < 1 || n > MAX_COUNT) {
        return task_set_error(r->err, LOPT_EARG, "%s: claims %u items, allowed: 1 to %u", r->path, n, MAX_COUNT);
    }
    if (rows < 1 || cols < 1 || rows > MAX_SIDE || cols > MAX_SIDE) {
        return task_set_error(r->err, LOPT_EARG, "%s: claims images of %u x %u, allowed: 1 x 1 to %u x %u", r->path,
                              rows, cols, MAX_SIDE, MAX_SIDE);
    }
    *out = (task_idx){.n = n, .rows = rows, .cols = cols};
    return 1;
}

static int read_idx_items(reader *r, task_idx *out) {
    size_t n_bytes = out->n * out->rows * out->cols;
    struct stat info;
    if (stat(r->path, &info) != 0) info.st_size = 0;
    if (n_bytes > MAX_BYTES || n_bytes / MAX_DEFLATE_RATIO > (size_t)info.st_size) {
        return task_set_error(r->err, LOPT_EARG, "%s: claims %zu bytes of data, which a file of %lld bytes cannot hold",
                              r->path, n_bytes, (long long)info.st_size);
    }
    out->bytes = malloc(n_bytes);
    if (!out->bytes) return task_set_error(r->err, LOPT_ENOMEM, "%s: out of memory", r->path);
    if (!read_idx_bytes(r, "the data", out->bytes, n_bytes)) return 0;
    char extra;
    int got = gzread(r->file, &extra, 1), code;
    gzerror(r->file, &code);
    if (got > 0) {
        return task_set_error(r->err, LOPT_EARG, "%s: has more than the %zu bytes of data that it claims", r->path,
                              n_bytes);
    }
    if (got < 0 || code != Z_OK) {
        return task_set_error(r->err, LOPT_EARG, "%s: damaged: the gzip stream does not end as it should", r->path);
    }
    return 1;
}

int task_idx_read(const char *path, int rank, task_idx *out, lopt_error *err) {
    *out = (task_idx){0};
    reader r = {path, task_file_open(path, err), err};
    if (!r.file) return 0;
    int done = read_idx_header(&r, rank, out) && read_idx_items(&r, out);
    gzclose_r(r.file);
    if (!done) task_idx_free(out);
    return done;
}

void task_idx_free(task_idx *idx) {
    free(idx->bytes);
    *idx = (task_idx){0};
}
