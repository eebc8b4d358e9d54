/* SPDX-License-Identifier: Apache-2.0
 *
 * scratch.h - a folder of each test's own, and files in it.
 *
 *     TestSuite(flax, .init = make_scratch, .fini = remove_scratch, .timeout = 60);
 *     char path[SCRATCH_PATH];
 *     write_bytes(path_of("tree", path), bytes, n);
 *
 * `nowhere` is for what is printed and read by nobody. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/atomic_file.h"

enum { SCRATCH_PATH = 200 };

static char folder[] = "/tmp/metatrain-test-XXXXXX";
static FILE *nowhere;

static inline void make_scratch(void) {
    cr_assert(mkdtemp(folder) != NULL);
    nowhere = fopen("/dev/null", "w");
}

static inline void remove_scratch(void) {
    fclose(nowhere);
    mt_remove_tree(folder);
}

static inline char *path_of(const char *name, char path[SCRATCH_PATH]) {
    snprintf(path, SCRATCH_PATH, "%s/%s", folder, name);
    return path;
}

static inline void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "cannot write %s", path);
}

#endif
