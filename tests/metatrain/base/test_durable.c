/* SPDX-License-Identifier: Apache-2.0
 *
 * Files are replaced whole or not at all, and the sentence says whose fault it is. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/read_file.h"
#include "scratch.h"

static char path[SCRATCH_PATH], partial[SCRATCH_PATH];

static void setup(void) {
    make_scratch();
    path_of("file", path);
    path_of(".file.partial", partial);
}

TestSuite(durable, .init = setup, .fini = remove_scratch, .timeout = 20);

static void assert_holds(const char *file, const char *expected) {
    size_t n;
    char *text = mt_text_read(file, 1 << 20, &n, NULL);
    cr_assert(text && strcmp(text, expected) == 0, "%s holds \"%s\", expected \"%s\"", file, text ? text : "",
              expected);
    free(text);
}

Test(durable, folders_are_made_all_or_none) {
    lopt_error err;
    char deep[200];
    struct stat info;
    cr_assert(mt_write_atomically(path, "x", 1, &err));
    snprintf(deep, sizeof deep, "%s/a/b/../../file/c", folder);
    cr_assert(!mt_make_folders(deep, &err) && err.status == LOPT_EARG, "%s", err.text);
    snprintf(deep, sizeof deep, "%s/a", folder);
    cr_assert(stat(deep, &info) != 0 && errno == ENOENT, "a folder is left");
    cr_assert(stat(path, &info) == 0 && info.st_size == 1, "the file is gone");
    snprintf(deep, sizeof deep, "%s/a/b//c/", folder);
    cr_assert(mt_make_folders(deep, &err) && stat(deep, &info) == 0);
}

/* None of them may be waited for. */
Test(durable, reads_only_files) {
    lopt_error err;
    char link[140];
    int64_t n;
    char hex[MT_DIGEST_HEX];
    cr_assert(mkfifo(path, 0666) == 0);
    snprintf(link, sizeof link, "%s/link", folder);
    cr_assert(symlink("/dev/zero", link) == 0);
    const char *bad[] = {path, link, folder, "/dev/null"};
    for (int i = 0; i < 4; i++) {
        cr_assert(!mt_text_read(bad[i], 100, NULL, &err) && err.status == LOPT_EARG);
        cr_assert(strstr(err.text, i == 2 ? ": is a folder" : ": is a pipe or device"), "%s", err.text);
        cr_assert(!mt_digest_file(bad[i], 0, hex, &n, &err) && err.status == LOPT_EARG);
    }
}

Test(durable, replaces_a_file) {
    lopt_error err;
    cr_assert(mt_write_atomically(path, "old", 3, &err));
    cr_assert(mt_write_atomically(path, "newer", 5, &err));
    assert_holds(path, "newer");
    cr_assert(access(partial, F_OK) != 0, "the partial file stayed");
}

/* A limit on the size of files stands for a full disk: write fails half-way. */
Test(durable, a_full_disk_leaves_the_old_file) {
    lopt_error err = {LOPT_OK, ""};
    static char large[1 << 16];
    cr_assert(mt_write_atomically(path, "old", 3, &err));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &limit);
    int ok = mt_write_atomically(path, large, sizeof large, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    cr_assert(!ok && err.status == LOPT_EIO, "status %d: %s", err.status, err.text);
    cr_assert(strstr(err.text, path) == err.text, "does not name the file: %s", err.text);
    assert_holds(path, "old");
    cr_assert(access(partial, F_OK) != 0, "the partial file stayed");
}

Test(durable, refuses_paths_that_cannot_be) {
    lopt_error err = {LOPT_OK, ""};
    char below[SCRATCH_PATH];
    cr_assert(mt_write_atomically(path, "file", 4, &err));
    path_of("file/below", below);
    cr_assert(!mt_write_atomically(below, "x", 1, &err) && err.status == LOPT_EARG, "%s", err.text);
    cr_assert(!mt_make_folders(below, &err) && err.status == LOPT_EARG, "%s", err.text);
    cr_assert(!mt_write_atomically("/dev/null", "x", 1, &err) && err.status == LOPT_EARG, "%s", err.text);
    cr_assert(!mt_write_atomically(folder, "x", 1, &err) && err.status == LOPT_EARG, "%s", err.text);
    cr_assert(!mt_write_atomically("", "x", 1, &err) && err.status == LOPT_EARG, "%s", err.text);
    assert_holds(path, "file");
}

Test(durable, replaces_a_folder) {
    lopt_error err;
    char built[160], old[160], inside[192];
    struct stat info;
    snprintf(built, sizeof built, "%s/.point.partial", folder);
    snprintf(old, sizeof old, "%s/point", folder);
    for (int round = 0; round < 2; round++) {
        cr_assert(mt_make_folders(built, &err));
        snprintf(inside, sizeof inside, "%s/%d", built, round);
        cr_assert(mt_write_atomically(inside, "x", 1, &err));
        cr_assert(mt_durable_replace_folder(built, old, &err), "%s", err.text);
    }
    snprintf(inside, sizeof inside, "%s/1", old);
    assert_holds(inside, "x");
    snprintf(inside, sizeof inside, "%s/0", old);
    cr_assert(stat(inside, &info) != 0 && stat(built, &info) != 0, "something of the old folder stayed");
}

Test(durable, makes_folders) {
    lopt_error err;
    char deep[160];
    snprintf(deep, sizeof deep, "%s/a/b//c/", folder);
    cr_assert(mt_make_folders(deep, &err), "%s", err.text);
    cr_assert(mt_make_folders(deep, &err), "%s", err.text);
    cr_assert(access(deep, W_OK) == 0);
}

/* The digest of no bytes is published with XXH3; pieces and file give the same as the whole. */
Test(durable, digest) {
    char hex[MT_DIGEST_HEX], whole[MT_DIGEST_HEX];
    char data[3000];
    mt_digest d;
    lopt_error err;
    int64_t n;
    mt_digest_begin(&d);
    mt_digest_end(&d, hex);
    cr_assert(strcmp(hex, "99aa06d3014798d86001c324468d497f") == 0, "%s", hex);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
    mt_digest_begin(&d);
    mt_digest_add(&d, data + 10, sizeof data - 10);
    mt_digest_end(&d, whole);
    mt_digest_begin(&d);
    mt_digest_add(&d, data + 10, 1);
    mt_digest_add(&d, data + 11, sizeof data - 11);
    mt_digest_end(&d, hex);
    cr_assert(strcmp(hex, whole) == 0);
    cr_assert(mt_write_atomically(path, data, sizeof data, &err));
    cr_assert(mt_digest_file(path, 10, hex, &n, &err) && n == sizeof data && strcmp(hex, whole) == 0);
}
