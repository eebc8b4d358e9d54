/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints: round trip over any number of ranks, saves cut short, damage, pruning. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/read_file.h"
#include "scratch.h"
#include "store/checkpoint.h"

enum { PARTICLES = 6, STATE = 37, THETA = 11 };

static int n_warnings;
static char last_warning[600];

TestSuite(checkpoint, .init = make_scratch, .fini = remove_scratch, .timeout = 60);

static void warn(const char *sentence) {
    n_warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", sentence);
}

/* ---- a run to save --------------------------------------------------------------------------- */

typedef struct particle {
    float state[STATE];
    int64_t counters[2];
    unsigned char bytes[5];
} particle;

typedef struct run {
    float theta[THETA];
    double m[THETA];
    int64_t step;
    particle particle[PARTICLES];
} run;

static run run_at(int64_t step) {
    run r = {.step = step};
    for (int i = 0; i < THETA; i++) {
        r.theta[i] = (float)(step * 100 + i) / 7;
        r.m[i] = (double)(step + i) / 3;
    }
    for (int p = 0; p < PARTICLES; p++) {
        for (int i = 0; i < STATE; i++) r.particle[p].state[i] = (float)(step + 1000 * p + i) / 11;
        r.particle[p].counters[0] = step * (INT64_C(1) << 40) + p;
        memcpy(r.particle[p].bytes, "abcd", 5);
        r.particle[p].bytes[0] = (unsigned char)(step + p);
    }
    return r;
}

enum { RUN_ITEMS = 3, ITEMS = 3 };

static void run_items(run *r, mt_item items[RUN_ITEMS]) {
    items[0] = (mt_item){"theta", MT_FLOATS, r->theta, THETA};
    items[1] = (mt_item){"outer/m", MT_DOUBLES, r->m, THETA};
    items[2] = (mt_item){"step", MT_INTEGERS, &r->step, 1};
}

/* Items of the particles rank, rank + size, ...; returns their number. */
static size_t particle_items(run *r, int rank, int size, mt_item *items, char names[][40]) {
    size_t n = 0;
    for (int p = rank; p < PARTICLES; p += size) {
        particle *x = &r->particle[p];
        const mt_item of_one[ITEMS] = {{"state", MT_FLOATS, x->state, STATE},
                                       {"counters", MT_INTEGERS, x->counters, 2},
                                       {"bytes", MT_BYTES, x->bytes, 5}};
        for (int i = 0; i < ITEMS; i++, n++) {
            snprintf(names[n], 40, "particle_%06d/%s", p, of_one[i].name);
            items[n] = of_one[i];
            items[n].name = names[n];
        }
    }
    return n;
}

static int write_shard(run *r, int rank, int size, lopt_error *err) {
    mt_item items[PARTICLES * ITEMS];
    char names[PARTICLES * ITEMS][40];
    size_t n = particle_items(r, rank, size, items, names);
    return mt_checkpoint_write_shard(folder, r->step, 0, rank, items, n, err);
}

static int commit(run *r, int size, int64_t keep, lopt_error *err) {
    mt_item items[RUN_ITEMS + 1];
    char config[] = "seed: 1\n";
    run_items(r, items);
    items[RUN_ITEMS] = (mt_item){"config", MT_BYTES, config, strlen(config)};
    return mt_checkpoint_commit(folder, r->step, 0, size, items, RUN_ITEMS + 1, keep, err);
}

static void save(int64_t step, int size, int64_t keep) {
    lopt_error err = {LOPT_OK, ""};
    run r = run_at(step);
    cr_assert(mt_checkpoint_begin(folder, step, 0, &err), "%s", err.text);
    for (int rank = 0; rank < size; rank++) cr_assert(write_shard(&r, rank, size, &err), "%s", err.text);
    cr_assert(commit(&r, size, keep, &err), "%s", err.text);
}

/* Loads a point as `size` ranks would and compares. */
static void assert_loads(int64_t step, int size) {
    lopt_error err = {LOPT_OK, ""};
    run expected = run_at(step), r = {.step = -1};
    mt_item items[PARTICLES * ITEMS];
    char names[PARTICLES * ITEMS][40];
    run_items(&r, items);
    cr_assert(mt_checkpoint_read_run(folder, step, items, RUN_ITEMS, &err), "%s", err.text);
    for (int rank = 0; rank < size; rank++) {
        size_t n = particle_items(&r, rank, size, items, names);
        cr_assert(mt_checkpoint_read_particles(folder, step, items, n, &err), "%s", err.text);
    }
    cr_assert(memcmp(r.theta, expected.theta, sizeof r.theta) == 0);
    cr_assert(memcmp(r.m, expected.m, sizeof r.m) == 0 && r.step == step);
    for (int p = 0; p < PARTICLES; p++) {
        const particle *a = &r.particle[p], *b = &expected.particle[p];
        cr_assert(memcmp(a->state, b->state, sizeof a->state) == 0, "state of particle %d", p);
        cr_assert(memcmp(a->counters, b->counters, sizeof a->counters) == 0, "counters of particle %d", p);
        cr_assert(memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0, "bytes of particle %d", p);
    }
}

static int64_t found(void) {
    lopt_error err = {LOPT_OK, ""};
    int64_t step = -2;
    n_warnings = 0;
    cr_assert(mt_checkpoint_find(folder, &step, warn, &err), "%s", err.text);
    return step;
}

/* Entries of DIR/checkpoints, hidden ones too. */
static int n_entries(void) {
    char path[64];
    snprintf(path, sizeof path, "%s/checkpoints", folder);
    DIR *points = opendir(path);
    int n = 0;
    cr_assert(points != NULL);
    for (struct dirent *e; (e = readdir(points));) n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(points);
    return n;
}

static void file_of(int64_t step, const char *name, char path[160]) {
    snprintf(path, 160, "%s/checkpoints/step-%012lld/%s", folder, (long long)step, name);
}

/* ---- what must work -------------------------------------------------------------------------- */

Test(checkpoint, comes_back_on_any_number_of_ranks) {
    for (int size = 1; size <= 4; size++) {
        save(50, size, 3);
        cr_assert(found() == 50 && n_warnings == 0);
        for (int readers = 1; readers <= PARTICLES; readers++) assert_loads(50, readers);
    }
}

Test(checkpoint, texts_come_back) {
    lopt_error err;
    save(1, 1, 1);
    char *text = mt_checkpoint_read_text(folder, 1, "config", &err);
    cr_assert(text && strcmp(text, "seed: 1\n") == 0);
    free(text);
    cr_assert(mt_checkpoint_read_text(folder, 1, "absent", &err) == NULL && strstr(err.text, "absent"));
}

Test(checkpoint, nothing_saved_yet) {
    cr_assert(found() == -1 && n_warnings == 0);
    lopt_error err;
    cr_assert(mt_checkpoint_begin(folder, 3, 0, &err));
    cr_assert(found() == -1 && n_warnings == 0);
}

Test(checkpoint, keeps_the_last_k) {
    for (int64_t step = 10; step <= 60; step += 10) save(step, 2, 3);
    cr_assert(found() == 60 && n_entries() == 3, "%d entries", n_entries());
    assert_loads(40, 1);
    save(70, 2, 1);
    cr_assert(found() == 70 && n_entries() == 1);
}

Test(checkpoint, the_same_step_is_saved_again) {
    save(10, 3, 3);
    save(10, 1, 3);
    cr_assert(found() == 10 && n_entries() == 1, "%d entries", n_entries());
    assert_loads(10, 2);
}

Test(checkpoint, is_reproducible) {
    char path[160];
    size_t n, m;
    save(10, 2, 3);
    file_of(10, "manifest.json", path);
    char *first = mt_text_read(path, 1 << 20, &n, NULL);
    sleep(1);
    save(10, 2, 3);
    char *second = mt_text_read(path, 1 << 20, &m, NULL);
    cr_assert(n == m && memcmp(first, second, n) == 0);
    free(first);
    free(second);
}

/* ---- saves cut short ------------------------------------------------------------------------- */

Test(checkpoint, a_save_that_stops_anywhere_leaves_the_last_point) {
    lopt_error err = {LOPT_OK, ""};
    save(10, 2, 2);
    for (int stop = 0; stop < 4; stop++) {
        run r = run_at(20);
        mt_item items[RUN_ITEMS];
        run_items(&r, items);
        cr_assert(mt_checkpoint_begin(folder, 20, 0, &err), "%s", err.text);
        if (stop > 0) cr_assert(write_shard(&r, 0, 2, &err));
        if (stop > 1) /* rank 1 died: its shard is missing */
            cr_assert(!commit(&r, 2, 1, &err) && strstr(err.text, "particles-0001.h5"), "%s", err.text);
        if (stop > 2) cr_assert(write_shard(&r, 1, 2, &err));
        cr_assert(found() == 10 && n_warnings == 0, "stop %d", stop);
        assert_loads(10, 3);
    }
    save(20, 3, 2);
    cr_assert(found() == 20 && n_entries() == 2, "what stopped saves left is still there");
}

/* A limit on the size of files stands for a full disk. */
Test(checkpoint, a_full_disk_leaves_the_last_point) {
    lopt_error err = {LOPT_OK, ""};
    run r = run_at(20);
    save(10, 1, 2);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 1000;
    cr_assert(mt_checkpoint_begin(folder, 20, 0, &err));
    setrlimit(RLIMIT_FSIZE, &limit);
    int shard = write_shard(&r, 0, 1, &err);
    lopt_status status = err.status;
    int point = commit(&r, 1, 2, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    cr_assert(!shard && !point && status == LOPT_EIO && err.status == LOPT_EIO, "%s", err.text);
    cr_assert(found() == 10 && n_warnings == 0);
    assert_loads(10, 1);
}

Test(checkpoint, a_folder_that_cannot_be_made) {
    lopt_error err = {LOPT_OK, ""};
    char file[64], below[96];
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(below, sizeof below, "%s/run", file);
    cr_assert(mt_write_atomically(file, "x", 1, &err));
    cr_assert(!mt_checkpoint_begin(below, 1, 0, &err) && err.status == LOPT_EARG, "%s", err.text);
    cr_assert(!mt_checkpoint_begin(folder, -1, 0, &err) && err.status == LOPT_EARG, "%s", err.text);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static const char *const files[] = {"manifest.json", "run.h5", "particles-0000.h5", "particles-0001.h5"};

/* Find must fall back to step 10 and name step 20 and the file. */
static void assert_skipped(const char *file, const char *what) {
    cr_assert(found() == 10, "%s of %s: not noticed", what, file);
    cr_assert(n_warnings == 1 && strstr(last_warning, "20") && strstr(last_warning, file), "%s of %s: %s", what, file,
              last_warning);
    cr_assert(strchr(last_warning, '\n') == NULL);
}

Test(checkpoint, damage_is_named_and_skipped) {
    save(10, 2, 9);
    save(20, 2, 9);
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        char path[160];
        size_t n;
        file_of(20, files[k], path);
        char *bytes = mt_text_read(path, 1 << 24, &n, NULL);
        cr_assert(bytes != NULL);
        for (size_t i = 0; i < n; i += k == 0 ? 7 : 509) {
            bytes[i] = (char)(bytes[i] ^ 1 << i % 7);
            write_bytes(path, bytes, n);
            bytes[i] = (char)(bytes[i] ^ 1 << i % 7);
            if (k > 0) {
                assert_skipped(files[k], "a flipped bit");
                continue;
            }
            int64_t step = found(); /* a blank of the manifest that became another changes nothing */
            cr_assert(step == 10 || (step == 20 && n_warnings == 0), "byte %zu of the manifest", i);
        }
        for (size_t length = 0; length < n - 1; length += 1 + n / 9) { /* the last byte is a closing brace or data */
            write_bytes(path, bytes, length);
            assert_skipped(files[k], "a truncation");
        }
        unlink(path);
        assert_skipped(files[k], "absence");
        write_bytes(path, bytes, n);
        cr_assert(found() == 20 && n_warnings == 0);
        free(bytes);
    }
}

/* A point of another version is whole but of no use: the warning says what it is. */
Test(checkpoint, other_versions_are_named) {
    char path[512], *text;
    size_t n;
    lopt_error err;
    int64_t step;
    save(10, 1, 3);
    file_of(10, "manifest.json", path);
    text = mt_text_read(path, 65536, &n, &err);
    char *version = strstr(text, "checkpoint 2");
    cr_assert(version);
    version[strlen("checkpoint ")] = '1';
    cr_assert(mt_write_atomically(path, text, n, &err));
    free(text);
    n_warnings = 0;
    cr_assert(!mt_checkpoint_find(folder, &step, warn, &err));
    cr_assert(n_warnings == 1 && strstr(last_warning, "its \"format\" is \"metatrain checkpoint 1\", "
                                                      "expected \"metatrain checkpoint 2\""),
              "%s", last_warning);
}

Test(checkpoint, points_after_a_damaged_one_are_kept) {
    char path[160];
    save(10, 1, 1);
    save(20, 1, 2);
    file_of(20, "run.h5", path);
    unlink(path);
    cr_assert(found() == 10);
    save(12, 1, 1); /* resumed at 10; the damaged 20 must not count as the one to keep */
    cr_assert(found() == 12);
    assert_loads(12, 1);
}

Test(checkpoint, folders_of_other_names_are_left_alone) {
    lopt_error err;
    char other[96];
    save(10, 1, 1);
    snprintf(other, sizeof other, "%s/checkpoints/step-20", folder);
    cr_assert(mt_make_folders(other, &err));
    save(30, 1, 1);
    cr_assert(found() == 30 && n_warnings == 0 && access(other, F_OK) == 0);
}

Test(checkpoint, wrong_items_are_named) {
    lopt_error err;
    float theta[THETA + 1];
    save(10, 1, 1);
    mt_item longer = {"theta", MT_FLOATS, theta, THETA + 1}, absent = {"thata", MT_FLOATS, theta, THETA};
    mt_item other = {"theta", MT_INTEGERS, theta, THETA}, nobody = {"particle_000099/state", MT_FLOATS, theta, 1};
    cr_assert(!mt_checkpoint_read_run(folder, 10, &longer, 1, &err) && strstr(err.text, "theta") &&
              strstr(err.text, "12"));
    cr_assert(!mt_checkpoint_read_run(folder, 10, &absent, 1, &err) && strstr(err.text, "thata"));
    cr_assert(!mt_checkpoint_read_run(folder, 10, &other, 1, &err) && strstr(err.text, "int64"));
    cr_assert(!mt_checkpoint_read_particles(folder, 10, &nobody, 1, &err) && strstr(err.text, "particle_000099"));
    cr_assert(!mt_checkpoint_read_run(folder, 11, &longer, 1, &err) && strstr(err.text, "000000000011"));
}
