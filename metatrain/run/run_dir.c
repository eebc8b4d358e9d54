/* SPDX-License-Identifier: Apache-2.0
 *
 * run_dir.c - see run_dir.h. */
#include "run/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_lock.h"
#include "config/config.h"

static int holds_a_run(const char *dir) {
    static const char *const names[] = {"metrics.jsonl", "checkpoints", "theta.h5", "status.json"};
    char path[MT_PATH + 16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (access(path, F_OK) == 0) return 1;
    }
    return 0;
}

static int move_aside(const char *dir, lopt_error *err) {
    char path[MT_PATH + 32];
    for (int k = 1; k < 10000; k++) {
        snprintf(path, sizeof path, "%s.old-%d", dir, k);
        if (access(path, F_OK) == 0) continue;
        if (rename(dir, path))
            return mt_error(err, LOPT_EARG, "%s: cannot move the earlier run to %s: %s", dir, path, strerror(errno));
        fprintf(stderr, "metatrain: %s held an earlier run; it is now %s\n", dir, path);
        return 1;
    }
    return mt_error(err, LOPT_EARG, "%s: too many earlier runs beside it; remove some of %s.old-*", dir, dir);
}

/* A run that goes on adds to these or replaces them: known before a step is made. */
static int outputs_are_files(const char *dir, lopt_error *err) {
    static const char *const patterns[] = {"metrics.jsonl", "theta.h5", "status.json", "config.yaml",
                                           "events.out.tfevents.*"};
    struct stat info;
    struct dirent *entry;
    int ok = 1;
    DIR *folder = opendir(dir);
    while (ok && folder && (entry = readdir(folder)))
        for (size_t i = 0; ok && i < sizeof patterns / sizeof *patterns; i++) {
            if (fnmatch(patterns[i], entry->d_name, 0) != 0) continue;
            ok = fstatat(dirfd(folder), entry->d_name, &info, 0) == 0 && S_ISREG(info.st_mode);
            if (!ok)
                mt_error(err, LOPT_EARG, "%s/%s: is not a file, so this run cannot go on; remove it", dir,
                         entry->d_name);
        }
    if (folder) closedir(folder);
    return ok;
}

int mt_run_dir_claim(const char *dir, int keep, lopt_error *err) {
    if (!mt_make_folders(dir, err)) return -1;
    int lock = mt_lock_folder(dir, err);
    if (lock >= 0 && keep && !outputs_are_files(dir, err)) {
        mt_run_dir_release(lock);
        return -1;
    }
    if (lock < 0 || keep || !holds_a_run(dir)) return lock;
    int moved = move_aside(dir, err);
    mt_run_dir_release(lock);
    if (!moved || !mt_make_folders(dir, err)) return -1;
    return mt_lock_folder(dir, err);
}

void mt_run_dir_release(int lock) {
    mt_unlock_folder(lock);
}
