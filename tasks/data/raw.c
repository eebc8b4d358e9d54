/* SPDX-License-Identifier: Apache-2.0
 *
 * raw.c - see raw.h. */
#include "data/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/task_error.h"

#define MAX_EXAMPLES ((size_t)100000000)

static int resize_memory(void **memory, size_t bytes) {
    void *larger = realloc(*memory, bytes);
    if (larger) *memory = larger;
    return larger != NULL;
}

int task_raw_reserve(task_raw *raw, size_t n, int as_numbers, lopt_error *err) {
    size_t side = TASK_RAW_MAX_SIDE * TASK_RAW_MAX_SIDE;
    size_t size = (size_t)raw->rows * (size_t)raw->cols * (size_t)raw->channels;
    if (n < 1 || n > MAX_EXAMPLES || size < 1 || size > 4 * side) {
        return task_set_error(err, LOPT_EARG,
                              "%s: claims %zu examples of %d x %d x %d, allowed: 1 to %zu of at most "
                              "%zu numbers",
                              raw->path, n, raw->rows, raw->cols, raw->channels, MAX_EXAMPLES, 4 * side);
    }
    size_t item = as_numbers ? sizeof *raw->numbers : 1;
    if (size * item > TASK_RAW_MAX_BYTES / n) {
        return task_set_error(err, LOPT_EARG, "%s: %zu examples of %zu numbers take more than %zu GB", raw->path, n,
                              size, TASK_RAW_MAX_BYTES >> 30);
    }
    void *data = as_numbers ? (void *)raw->numbers : raw->bytes, *labels = raw->labels;
    int made = resize_memory(&data, n * size * item) && resize_memory(&labels, n * sizeof *raw->labels);
    if (as_numbers)
        raw->numbers = data;
    else
        raw->bytes = data;
    raw->labels = labels;
    return made ? 1 : task_set_error(err, LOPT_ENOMEM, "%s: out of memory", raw->path);
}

void task_raw_free(task_raw *raw) {
    free(raw->bytes);
    free(raw->numbers);
    free(raw->labels);
    *raw = (task_raw){0};
}

struct gzFile_s *task_file_open(const char *path, lopt_error *err) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
        close(fd);
        task_set_error(err, LOPT_EARG, "%s: is not a file", path);
        return NULL;
    }
    gzFile file = fd < 0 ? NULL : gzdopen(fd, "rb");
    if (!file) {
        task_set_error(err, LOPT_EARG, "%s: cannot be opened: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
    }
    return file;
}

/* Reads to the end into memory that grows; *n is what was read. */
static unsigned char *read_whole_file(gzFile file, const char *path, size_t *n, lopt_error *err) {
    size_t room = (size_t)1 << 16;
    void *bytes = malloc(room);
    *n = 0;
    for (int got = 1; bytes; *n += (size_t)got) {
        if (*n + 1 >= room && (room >= TASK_FILE_MAX_BYTES || !resize_memory(&bytes, room *= 2))) break;
        size_t left = room - 1 - *n;
        got = gzread(file, (char *)bytes + *n, (unsigned)(left < (1u << 30) ? left : 1u << 30));
        int code;
        const char *text = gzerror(file, &code);
        if (got < 0 || (got == 0 && code != Z_OK)) {
            task_set_error(err, LOPT_EARG, "%s: %s: %s", path, code == Z_BUF_ERROR ? "truncated" : "damaged",
                           code == Z_ERRNO ? strerror(errno) : text);
            free(bytes);
            return NULL;
        }
        if (got == 0) {
            ((unsigned char *)bytes)[*n] = 0;
            return bytes;
        }
    }
    task_set_error(err, room >= TASK_FILE_MAX_BYTES ? LOPT_EARG : LOPT_ENOMEM,
                   "%s: holds more than the %zu MB that there is room for", path, room >> 20);
    free(bytes);
    return NULL;
}

unsigned char *task_file_bytes(const char *path, size_t *n, lopt_error *err) {
    gzFile file = task_file_open(path, err);
    if (!file) return NULL;
    unsigned char *bytes = read_whole_file(file, path, n, err);
    gzclose_r(file);
    return bytes;
}
