/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.c - see checkpoint.h and docs/file-formats.md. */
#include "store/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/read_file.h"

#define FORMAT "metatrain checkpoint 2" /* 1 had no structures of sampled tasks */
#define PATH_BYTES 2048
#define MAX_MANIFEST_BYTES ((size_t)16 << 20)
#define MAX_STEP INT64_C(999999999999)
enum { MAX_SHARDS = 65536, FILE_NAME = 40, STEP_DIGITS = 12 };

/* ---- names ----------------------------------------------------------------------------------- */

static void folder_path(const char *dir, char *path) {
    snprintf(path, PATH_BYTES, "%s/checkpoints", dir);
}

static void point_path(const char *dir, int64_t step, char *path) {
    snprintf(path, PATH_BYTES, "%s/checkpoints/step-%012lld", dir, (long long)step);
}

/* A rank that was taken for dead and wakes up in the middle of a save finds no folder to spoil. */
static void partial_path(const char *dir, int64_t step, int64_t attempt, char *path) {
    snprintf(path, PATH_BYTES, "%s/checkpoints/.step-%012lld.%lld.partial", dir, (long long)step, (long long)attempt);
}

static void shard_name(int64_t rank, char name[FILE_NAME]) {
    snprintf(name, FILE_NAME, "particles-%04lld.h5", (long long)rank);
}

/* Name of file i of a point: the coordinator's, then the shards. */
static void file_name(int64_t i, char name[FILE_NAME]) {
    if (i == 0)
        snprintf(name, FILE_NAME, "run.h5");
    else
        shard_name(i - 1, name);
}

static int check_place(const char *dir, int64_t step, lopt_error *err) {
    if (strlen(dir) > PATH_BYTES - 128) return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", dir);
    if (step < 0 || step > MAX_STEP)
        return mt_error(err, LOPT_EARG, "%s: outer step %lld cannot name a checkpoint", dir, (long long)step);
    return 1;
}

/* ---- the points of a run --------------------------------------------------------------------- */

static int64_t step_of_name(const char *name) {
    if (strncmp(name, "step-", 5) != 0 || strspn(name + 5, "0123456789") != STEP_DIGITS ||
        strlen(name) != 5 + STEP_DIGITS)
        return -1;
    return strtoll(name + 5, NULL, 10);
}

static int newest_first(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Steps of all points, complete or damaged, newest first; the caller frees *steps. No folder: no
 * points. */
static int list_points(const char *dir, int64_t **steps, size_t *n, lopt_error *err) {
    char path[PATH_BYTES];
    folder_path(dir, path);
    *steps = NULL;
    *n = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT || mt_error(err, LOPT_EARG, "%s: cannot open this folder: %s", path, strerror(errno));
    int ok = 1;
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        int64_t step = step_of_name(entry->d_name);
        if (step < 0) continue;
        int64_t *more = realloc(*steps, (*n + 1) * sizeof *more);
        ok = more ? 1 : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
        if (ok) {
            more[(*n)++] = step;
            *steps = more;
        }
    }
    closedir(folder);
    if (ok && *n > 1) qsort(*steps, *n, sizeof **steps, newest_first);
    return ok;
}

/* Removes what killed saves left behind. */
static void remove_partials(const char *dir) {
    char path[PATH_BYTES], partial[PATH_BYTES + 256];
    folder_path(dir, path);
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        size_t n = strlen(entry->d_name);
        if (strncmp(entry->d_name, ".step-", 6) == 0 && n > 8 && strcmp(entry->d_name + n - 8, ".partial") == 0) {
            snprintf(partial, sizeof partial, "%s/%s", path, entry->d_name);
            mt_remove_tree(partial);
        }
    }
    closedir(folder);
}

/* A point that is being removed loses its name first, so that half of one is never found. */
static void remove_point(const char *dir, int64_t step) {
    char path[PATH_BYTES], partial[PATH_BYTES];
    point_path(dir, step, path);
    partial_path(dir, step, -1, partial);
    if (rename(path, partial) == 0) mt_remove_tree(partial);
}

/* Later points than `step` are left alone and do not count: a resume passed them over because they
 * are damaged, and whoever wants to look into them still can. */
static void prune_old(const char *dir, int64_t step, int64_t keep) {
    int64_t *steps;
    size_t n;
    if (list_points(dir, &steps, &n, NULL)) {
        int64_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (steps[i] <= step && ++kept > keep) remove_point(dir, steps[i]);
    }
    free(steps);
}

/* ---- saving ---------------------------------------------------------------------------------- */

int mt_checkpoint_begin(const char *dir, int64_t step, int64_t attempt, lopt_error *err) {
    char path[PATH_BYTES];
    if (!check_place(dir, step, err)) return 0;
    remove_partials(dir);
    partial_path(dir, step, attempt, path);
    if (!mt_make_folders(path, err)) return 0;
    folder_path(dir, path);
    return mt_sync_folder_of(path, err);
}

static int write_items(const char *path, const mt_item *items, size_t n, lopt_error *err) {
    mt_hdf5 *f = mt_hdf5_create(path, err);
    int ok = f && mt_hdf5_put_attribute(f, "format", FORMAT, err);
    for (size_t i = 0; ok && i < n; i++) {
        int64_t size = (int64_t)items[i].n;
        ok = mt_hdf5_put(f, items[i].name, items[i].type, 1, &size, items[i].data, err);
    }
    ok = ok && mt_hdf5_save(f, err);
    mt_hdf5_close(f);
    return ok;
}

int mt_checkpoint_write_shard(const char *dir, int64_t step, int64_t attempt, int rank, const mt_item *items, size_t n,
                              lopt_error *err) {
    char folder[PATH_BYTES], path[PATH_BYTES + FILE_NAME + 1], name[FILE_NAME];
    if (!check_place(dir, step, err)) return 0;
    partial_path(dir, step, attempt, folder);
    shard_name(rank, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return write_items(path, items, n, err);
}

/* Sizes and digests of run.h5 and the shards, as they are on disk. NULL and a sentence if one is
 * missing. */
static json_t *describe_files(const char *folder, int n_shards, lopt_error *err) {
    json_t *files = json_array();
    for (int i = 0; i <= n_shards; i++) {
        char name[FILE_NAME], path[PATH_BYTES + FILE_NAME + 1], hex[MT_DIGEST_HEX];
        int64_t n_bytes;
        file_name(i, name);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (!mt_digest_file(path, 0, hex, &n_bytes, err)) {
            json_decref(files);
            return NULL;
        }
        json_array_append_new(
            files, json_pack("{s:s, s:I, s:s}", "name", name, "bytes", (json_int_t)n_bytes, "xxh3_128", hex));
    }
    return files;
}

static int write_manifest(const char *folder, int64_t step, int n_shards, lopt_error *err) {
    char path[PATH_BYTES + FILE_NAME];
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    json_t *files = describe_files(folder, n_shards, err);
    if (!files) return 0;
    json_t *manifest = json_pack("{s:s, s:I, s:o}", "format", FORMAT, "step", (json_int_t)step, "files", files);
    char *text = manifest ? json_dumps(manifest, JSON_INDENT(1)) : NULL;
    int ok = text ? mt_write_atomically(path, text, strlen(text), err)
                  : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    free(text);
    json_decref(manifest);
    return ok;
}

/* A point of that step may be there already: a run that was resumed from it and stopped at once
 * saves it again. */
int mt_checkpoint_commit(const char *dir, int64_t step, int64_t attempt, int n_shards, const mt_item *items, size_t n,
                         int64_t keep, lopt_error *err) {
    char partial[PATH_BYTES], path[PATH_BYTES], run[PATH_BYTES + FILE_NAME];
    if (!check_place(dir, step, err)) return 0;
    partial_path(dir, step, attempt, partial);
    point_path(dir, step, path);
    snprintf(run, sizeof run, "%s/run.h5", partial);
    if (!write_items(run, items, n, err) || !write_manifest(partial, step, n_shards, err) ||
        !mt_durable_replace_folder(partial, path, err))
        return 0;
    remove_partials(dir);
    prune_old(dir, step, keep);
    return 1;
}

/* ---- finding and checking -------------------------------------------------------------------- */

/* Compares file i of a point with its entry in the manifest. */
static int check_file(const char *folder, const json_t *entry, int64_t i, lopt_error *err) {
    char name[FILE_NAME], path[PATH_BYTES + FILE_NAME + 1], hex[MT_DIGEST_HEX];
    const char *listed = json_string_value(json_object_get(entry, "name"));
    const char *digest = json_string_value(json_object_get(entry, "xxh3_128"));
    json_int_t bytes = json_integer_value(json_object_get(entry, "bytes"));
    int64_t n_bytes;
    file_name(i, name);
    if (!listed || strcmp(listed, name) != 0 || !digest)
        return mt_error(err, LOPT_EARG, "%s/manifest.json: entry %lld of \"files\" should describe %s", folder,
                        (long long)i, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!mt_digest_file(path, 0, hex, &n_bytes, err)) return 0;
    if (n_bytes != bytes)
        return mt_error(err, LOPT_EARG, "%s: has %lld bytes, its manifest says %lld", path, (long long)n_bytes,
                        (long long)bytes);
    if (strcmp(hex, digest) != 0)
        return mt_error(err, LOPT_EARG, "%s: damaged: its digest is %s, its manifest says %.64s", path, hex, digest);
    return 1;
}

/* The manifest of a point, checked for form; step -1: whatever it says. NULL and a sentence. */
static json_t *read_manifest(const char *folder, int64_t step, lopt_error *err) {
    char path[PATH_BYTES + FILE_NAME];
    json_error_t where;
    size_t n;
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    char *text = mt_text_read(path, MAX_MANIFEST_BYTES, &n, err);
    if (!text) return NULL;
    json_t *manifest = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    free(text);
    if (!manifest) {
        mt_error(err, LOPT_EARG, "%s: line %d: %s", path, where.line, where.text);
        return NULL;
    }
    const char *format = json_string_value(json_object_get(manifest, "format"));
    json_t *found = json_object_get(manifest, "step"), *files = json_object_get(manifest, "files");
    int ok = 1;
    if (!format || strcmp(format, FORMAT) != 0)
        ok = mt_error(err, LOPT_EARG, "%s: its \"format\" is \"%.64s\", expected \"%s\"", path, format ? format : "",
                      FORMAT);
    else if (!json_is_integer(found) || (step >= 0 && json_integer_value(found) != step))
        ok = mt_error(err, LOPT_EARG, "%s: its \"step\" is not %lld", path, (long long)step);
    else if (json_array_size(files) < 1 || json_array_size(files) > MAX_SHARDS)
        ok = mt_error(err, LOPT_EARG, "%s: lists no \"files\", or more than %d", path, MAX_SHARDS);
    if (ok) return manifest;
    json_decref(manifest);
    return NULL;
}

static int verify_folder(const char *folder, int64_t step, lopt_error *err) {
    json_t *manifest = read_manifest(folder, step, err);
    if (!manifest) return 0;
    json_t *files = json_object_get(manifest, "files");
    int ok = 1;
    for (size_t i = 0; ok && i < json_array_size(files); i++)
        ok = check_file(folder, json_array_get(files, i), (int64_t)i, err);
    json_decref(manifest);
    return ok;
}

static int verify_point(const char *dir, int64_t step, lopt_error *err) {
    char folder[PATH_BYTES];
    point_path(dir, step, folder);
    return verify_folder(folder, step, err);
}

int mt_checkpoint_verify(const char *folder, lopt_error *err) {
    if (strlen(folder) > PATH_BYTES - 128) return mt_error(err, LOPT_EARG, "%.200s...: the path is too long", folder);
    return verify_folder(folder, -1, err);
}

static void report_damaged(int64_t step, const lopt_error *why, void (*warn)(const char *sentence)) {
    lopt_error sentence;
    mt_error(&sentence, LOPT_EARG, "checkpoint of outer step %lld is skipped: %.440s", (long long)step, why->text);
    if (warn) warn(sentence.text);
}

int mt_checkpoint_find(const char *dir, int64_t *step, void (*warn)(const char *sentence), lopt_error *err) {
    int64_t *steps = NULL;
    size_t n = 0;
    *step = -1;
    int ok = check_place(dir, 0, err) && list_points(dir, &steps, &n, err);
    for (size_t i = 0; ok && i < n && *step < 0; i++) {
        lopt_error why = {LOPT_OK, ""};
        if (verify_point(dir, steps[i], &why))
            *step = steps[i];
        else if (why.status == LOPT_EIO || why.status == LOPT_ENOMEM)
            ok = mt_error(err, why.status, "%s", why.text);
        else
            report_damaged(steps[i], &why, warn);
    }
    if (ok && n > 0 && *step < 0)
        ok = mt_error(err, LOPT_EARG,
                      "%s/checkpoints: none of the %zu checkpoints verifies; remove them to start "
                      "anew",
                      dir, n);
    free(steps);
    return ok;
}

/* ---- loading --------------------------------------------------------------------------------- */

static mt_hdf5 *open_checkpoint_file(const char *dir, int64_t step, int64_t i, lopt_error *err) {
    char folder[PATH_BYTES], path[PATH_BYTES + FILE_NAME + 1], name[FILE_NAME];
    if (!check_place(dir, step, err)) return NULL;
    point_path(dir, step, folder);
    file_name(i, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return mt_hdf5_open(path, err);
}

int mt_checkpoint_read_run(const char *dir, int64_t step, const mt_item *items, size_t n, lopt_error *err) {
    mt_hdf5 *f = open_checkpoint_file(dir, step, 0, err);
    int ok = f != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = mt_hdf5_read(f, items[i].name, items[i].type, items[i].n, items[i].data, err);
    mt_hdf5_close(f);
    return ok;
}

char *mt_checkpoint_read_text(const char *dir, int64_t step, const char *name, lopt_error *err) {
    mt_hdf5 *f = open_checkpoint_file(dir, step, 0, err);
    char *text = f ? mt_hdf5_read_text(f, name, err) : NULL;
    mt_hdf5_close(f);
    return text;
}

/* Reads the items whose first path component (their particle) this shard holds; marks them in
 * found. */
static int read_shard(const mt_hdf5 *f, const mt_item *items, size_t n, char *found, lopt_error *err) {
    for (size_t i = 0; i < n; i++) {
        char particle[MT_HDF5_NAME];
        snprintf(particle, sizeof particle, "%.*s", (int)strcspn(items[i].name, "/"), items[i].name);
        if (found[i] || !mt_hdf5_has(f, particle)) continue;
        if (!mt_hdf5_read(f, items[i].name, items[i].type, items[i].n, items[i].data, err)) return 0;
        found[i] = 1;
    }
    return 1;
}

static int read_shards(const char *dir, int64_t step, const mt_item *items, size_t n, char *found, lopt_error *err) {
    char folder[PATH_BYTES];
    point_path(dir, step, folder);
    json_t *manifest = read_manifest(folder, step, err);
    if (!manifest) return 0;
    int64_t n_files = (int64_t)json_array_size(json_object_get(manifest, "files"));
    json_decref(manifest);
    for (int64_t i = 1; i < n_files; i++) {
        mt_hdf5 *f = open_checkpoint_file(dir, step, i, err);
        int ok = f && read_shard(f, items, n, found, err);
        mt_hdf5_close(f);
        if (!ok) return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (!found[i]) return mt_error(err, LOPT_EARG, "%s: no shard holds %s", folder, items[i].name);
    return 1;
}

int mt_checkpoint_read_particles(const char *dir, int64_t step, const mt_item *items, size_t n, lopt_error *err) {
    if (!check_place(dir, step, err)) return 0;
    char *found = calloc(n + 1, 1);
    int ok =
        found ? read_shards(dir, step, items, n, found, err) : mt_error(err, LOPT_ENOMEM, "%s: out of memory", dir);
    free(found);
    return ok;
}
