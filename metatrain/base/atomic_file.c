/* SPDX-License-Identifier: Apache-2.0
 *
 * atomic_file.c - see atomic_file.h. Order of calls: "a rename is durable once its folder is synced" (fsync(2)). */
#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* Whether a failed system call is the device's fault or the path's. */
static lopt_status status_of(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ESTALE:
        return LOPT_EIO;
    case ENOMEM:
        return LOPT_ENOMEM;
    default:
        return LOPT_EARG;
    }
}

static int report_failure(lopt_error *err, const char *path, const char *what) {
    int error = errno;
    return mt_error(err, status_of(error), "%s: cannot %s: %s", path, what, strerror(error));
}

static int folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

int mt_partial_path(const char *path, char *partial, size_t partial_bytes, lopt_error *err) {
    int n = folder_length(path);
    int written = snprintf(partial, partial_bytes, "%.*s.%s.partial", n, path, path + n);
    if (path[n] == '\0') return mt_error(err, LOPT_EARG, "\"%s\" names no file", path);
    if (written < 0 || (size_t)written >= partial_bytes)
        return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", path);
    return 1;
}

static int write_all(int fd, const char *data, size_t n) {
    while (n > 0) {
        ssize_t written = write(fd, data, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return 0;
        data += written;
        n -= (size_t)written;
    }
    return fsync(fd) == 0;
}

int mt_sync_folder_of(const char *path, lopt_error *err) {
    int n = folder_length(path);
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", n, path);
    int fd = open(n ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return report_failure(err, path, "open its folder");
    /* Some network file systems do not sync folders and say so with EINVAL. */
    int ok = fsync(fd) == 0 || errno == EINVAL || report_failure(err, path, "sync its folder");
    close(fd);
    return ok;
}

int mt_durable_rename(const char *from, const char *to, lopt_error *err) {
    if (rename(from, to) != 0) return report_failure(err, to, "be put in place");
    return mt_sync_folder_of(to, err);
}

static int write_partial(const char *partial, const char *path, const void *data, size_t n, lopt_error *err) {
    int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) return report_failure(err, path, "be created");
    int ok = write_all(fd, data, n) || report_failure(err, path, "be written");
    if (close(fd) != 0 && ok) ok = report_failure(err, path, "be written");
    return ok;
}

int mt_write_atomically(const char *path, const void *data, size_t n, lopt_error *err) {
    char partial[4096];
    struct stat info;
    if (!mt_partial_path(path, partial, sizeof partial, err)) return 0;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return mt_error(err, LOPT_EARG, "%s: is not a regular file, so it is not replaced", path);
    if (!write_partial(partial, path, data, n, err) || !mt_durable_rename(partial, path, err)) {
        unlink(partial);
        return 0;
    }
    return 1;
}

int mt_durable_replace_folder(const char *partial, const char *path, lopt_error *err) {
    struct stat info;
    char aside[4096];
    if (lstat(path, &info) != 0) return mt_durable_rename(partial, path, err);
    if (renameat2(AT_FDCWD, partial, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        mt_remove_tree(partial);
        return mt_sync_folder_of(path, err);
    }
    if (snprintf(aside, sizeof aside, "%s.old.partial", partial) >= (int)sizeof aside)
        return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", path);
    mt_remove_tree(aside);
    if (rename(path, aside) != 0) return report_failure(err, path, "be replaced");
    int ok = mt_durable_rename(partial, path, err);
    if (ok)
        mt_remove_tree(aside);
    else
        rename(aside, path);
    return ok;
}

/* Removes path and the folders above it, up to the one whose path has `shortest` bytes, if empty. */
static void unmake_folders(char *path, size_t shortest) {
    for (char *slash; strlen(path) >= shortest; *slash = '\0') {
        rmdir(path);
        if (!(slash = strrchr(path, '/'))) return;
    }
}

/* Makes one; *made: bytes of the path of the first that had to be made, 0 so far. */
static int make_one_folder(char *path, size_t *made, lopt_error *err) {
    struct stat info;
    if (mkdir(path, 0777) == 0) {
        *made = *made ? *made : strlen(path);
        return 1;
    }
    if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return 1;
    report_failure(err, path, "create this folder");
    if (*made) unmake_folders(path, *made);
    return 0;
}

int mt_make_folders(const char *path, lopt_error *err) {
    char part[4096];
    size_t made = 0;
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", path);
    for (char *c = part + 1; part[0]; c++) {
        char kept = *c;
        if (kept != '/' && kept != '\0') continue;
        *c = '\0';
        if (!make_one_folder(part, &made, err)) return 0;
        *c = kept;
        if (kept == '\0') return 1;
    }
    return mt_error(err, LOPT_EARG, "the name of a folder is empty");
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

int mt_remove_tree(const char *path) {
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
}
