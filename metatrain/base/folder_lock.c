/* SPDX-License-Identifier: Apache-2.0
 *
 * folder_lock.c - see folder_lock.h. */
#include "base/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

int mt_lock_folder(const char *dir, lopt_error *err) {
    char path[1040];
    snprintf(path, sizeof path, "%.1000s/.lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        mt_error(err, LOPT_EARG, "%s: cannot write to this folder: %s", dir, strerror(errno));
        return -1;
    }
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &all) == 0) return fd;
    if (errno != EAGAIN && errno != EACCES) {
        fprintf(stderr,
                "metatrain: warning: %s: this file system has no locks (%s): see to it that "
                "no other process uses the folder\n",
                dir, strerror(errno));
        return fd;
    }
    all.l_type = F_WRLCK;
    all.l_pid = 0;
    fcntl(fd, F_GETLK, &all);
    close(fd);
    mt_error(err, LOPT_EARG,
             "%s: another process is using this folder (process %ld); wait for it or name another folder with --out",
             dir, (long)all.l_pid);
    return -1;
}

void mt_unlock_folder(int lock) {
    if (lock >= 0) close(lock);
}
