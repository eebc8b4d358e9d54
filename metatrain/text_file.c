/* SPDX-License-Identifier: Apache-2.0 */
#include "text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"

static char *read_open_file(const char *path, FILE *f, size_t max_bytes, size_t *n, lopt_error *err) {
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

char *mt_text_read(const char *path, size_t max_bytes, size_t *n, lopt_error *err) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        mt_error(err, LOPT_EARG, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    char *text = read_open_file(path, f, max_bytes, n, err);
    fclose(f);
    return text;
}

int mt_partial_path(const char *path, char *partial, size_t bytes, lopt_error *err) {
    int length = snprintf(partial, bytes, "%s.partial", path);
    if (length >= 0 && (size_t)length < bytes) return 1;
    return mt_error(err, LOPT_EARG, "%.64s...: the path is too long", path);
}

/* A rename is on disk once its folder is synced. */
static void sync_folder_of(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (length >= sizeof folder) return;
    memcpy(folder, path, length);
    folder[length] = '\0';
    int fd = open(slash == NULL ? "." : length == 0 ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

int mt_partial_publish(const char *path, lopt_error *err) {
    char partial[PATH_MAX];
    if (!mt_partial_path(path, partial, sizeof partial, err)) return 0;
    int fd = open(partial, O_RDONLY | O_CLOEXEC);
    int ok = fd >= 0 && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0) close(fd);
    if (ok && rename(partial, path) != 0) {
        ok = 0;
        cause = errno;
    }
    if (!ok) {
        unlink(partial);
        return mt_error(err, LOPT_EIO, "%s: cannot be written: %s", path, strerror(cause));
    }
    sync_folder_of(path);
    return 1;
}

int mt_text_replace(const char *path, const char *text, size_t n, lopt_error *err) {
    char partial[PATH_MAX];
    if (!mt_partial_path(path, partial, sizeof partial, err)) return 0;
    FILE *f = fopen(partial, "wb");
    if (f == NULL) return mt_error(err, LOPT_EIO, "%s: cannot be written: %s", path, strerror(errno));
    int ok = fwrite(text, 1, n, f) == n;
    int cause = errno;
    if (fclose(f) != 0 && ok) {
        ok = 0;
        cause = errno;
    }
    if (!ok) {
        unlink(partial);
        return mt_error(err, LOPT_EIO, "%s: cannot be written: %s", path, strerror(cause));
    }
    return mt_partial_publish(path, err);
}
