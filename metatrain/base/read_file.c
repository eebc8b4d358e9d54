/* SPDX-License-Identifier: Apache-2.0 */
#include "base/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

char *mt_text_read_stream(FILE *f, const char *path, size_t max_bytes, size_t *n, lopt_error *err) {
    size_t capacity = 4096, used = 0, got;
    char *text = malloc(capacity + 1);
    while (text != NULL && (got = fread(text + used, 1, capacity - used, f)) > 0) {
        used += got;
        if (used > max_bytes) {
            free(text);
            mt_error(err, LOPT_EARG, "%s: larger than the %zu bytes allowed", path, max_bytes);
            return NULL;
        }
        if (used == capacity) {
            char *larger = realloc(text, 2 * capacity + 1);
            if (larger == NULL) free(text);
            text = larger;
            capacity *= 2;
        }
    }
    if (text == NULL) {
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    } else if (ferror(f)) {
        mt_error(err, LOPT_EIO, "%s: cannot be read: %s", path, strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[used] = '\0';
        if (n != NULL) *n = used;
    }
    return text;
}

FILE *mt_file_open(const char *path, lopt_error *err) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        mt_error(err, LOPT_EARG, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    FILE *f = NULL;
    if (fstat(fd, &info) == 0 && !S_ISREG(info.st_mode))
        mt_error(err, LOPT_EARG, "%s: is %s, not a file", path,
                 S_ISDIR(info.st_mode) ? "a folder" : "a pipe or device");
    else if ((f = fdopen(fd, "rb")) == NULL)
        mt_error(err, LOPT_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    if (f == NULL) close(fd);
    return f;
}

char *mt_text_read(const char *path, size_t max_bytes, size_t *n, lopt_error *err) {
    FILE *f = mt_file_open(path, err);
    if (f == NULL) return NULL;
    char *text = mt_text_read_stream(f, path, max_bytes, n, err);
    fclose(f);
    return text;
}
