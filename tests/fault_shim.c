/* SPDX-License-Identifier: Apache-2.0
 *
 * fault_shim.c - LD_PRELOAD library of tests/faults: what goes wrong while a checkpoint is written.
 *
 *     FAULT_PLAN="kill:1:7 enospc:0:30"     WHAT:RANK:N, separated by spaces
 *     FAULT_LOG=FILE                        a line "WHAT RANK N CALL" for each that happened
 *
 * At the Nth call (from 1) of write, fsync, rename or renameat2 by that rank on a path below
 * /checkpoints/, the process is killed (kill), the call fails (enospc, eio), or hangs (hang). Counted in
 * each process anew; ranks are those of Open MPI. Does nothing in other programs. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int n_calls; /* of this process */

/* Whether fd is a file or folder of a checkpoint. */
static int watched(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return strstr(path, "/checkpoints") != NULL;
}

static void note(const char *what, const char *rank, const char *call) {
    const char *log = getenv("FAULT_LOG");
    char line[128];
    int n = snprintf(line, sizeof line, "%s %s %d %s\n", what, rank, n_calls, call);
    int fd = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (fd >= 0) {
        ssize_t (*plain)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
        plain(fd, line, (size_t)n);
        close(fd);
    }
}

/* 0: the call goes on; else errno of its failure. */
static int strike(const char *call) {
    const char *plan = getenv("FAULT_PLAN"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    char what[16], whose[16];
    int at, used;
    n_calls++;
    for (; plan && rank && sscanf(plan, " %15[a-z]:%15[0-9]:%d%n", what, whose, &at, &used) == 3; plan += used) {
        if (at != n_calls || strcmp(whose, rank) != 0) continue;
        note(what, rank, call);
        if (strcmp(what, "kill") == 0) raise(SIGKILL);
        if (strcmp(what, "hang") == 0) sleep(600);
        return strcmp(what, "enospc") == 0 ? ENOSPC : EIO;
    }
    return 0;
}

#define NEXT(type, name) type next = (type)dlsym(RTLD_NEXT, name)
typedef ssize_t (*write_type)(int, const void *, size_t);
typedef int (*fsync_type)(int);
typedef int (*rename_type)(const char *, const char *);
typedef int (*renameat2_type)(int, const char *, int, const char *, unsigned);

ssize_t write(int fd, const void *data, size_t n) {
    NEXT(write_type, "write");
    int failed = watched(fd) ? strike("write") : 0;
    return failed ? (errno = failed, -1) : next(fd, data, n);
}

int fsync(int fd) {
    NEXT(fsync_type, "fsync");
    int failed = watched(fd) ? strike("fsync") : 0;
    return failed ? (errno = failed, -1) : next(fd);
}

int rename(const char *from, const char *to) {
    NEXT(rename_type, "rename");
    int failed = strstr(to, "/checkpoints/") ? strike("rename") : 0;
    return failed ? (errno = failed, -1) : next(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    NEXT(renameat2_type, "renameat2");
    int failed = strstr(to, "/checkpoints/") ? strike("renameat2") : 0;
    return failed ? (errno = failed, -1) : next(from_folder, from, to_folder, to, flags);
}
