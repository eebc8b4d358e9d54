/* SPDX-License-Identifier: Apache-2.0
 *
 * cell_store.c - see cell_store.h. */
#include "eval/cell_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "store/hdf5_file.h"

#define FORMAT "metatrain cells"
#define VERSION "1"

enum { KEY = 32, POINT_NUMBERS = sizeof(mt_point) / sizeof(double) };
_Static_assert(sizeof(mt_point) == POINT_NUMBERS * sizeof(double), "points are stored as they are");

struct mt_cell_store {
    char path[1200]; /* "": nothing is written */
    size_t n, capacity;
    mt_stored_cell *cell;
    size_t n_slots; /* a power of two, at least twice n */
    size_t *slot;   /* number of the cell + 1; 0: free */
    int changed;
};

static int report_full_memory(const mt_cell_store *s, lopt_error *err) {
    return mt_error(err, LOPT_ENOMEM, "%.400s: out of memory for %zu results", s->path, s->n);
}

/* ---- in memory ----------------------------------------------------------------------------------- */

/* Keys are digests: their first digits are as good as any hash of them. */
static size_t find_slot(const mt_cell_store *s, const char *key) {
    char digits[9] = {0};
    memcpy(digits, key, 8);
    size_t i = strtoul(digits, NULL, 16) & (s->n_slots - 1);
    while (s->slot[i] && strcmp(s->cell[s->slot[i] - 1].key, key) != 0) i = (i + 1) & (s->n_slots - 1);
    return i;
}

static int grow_store(mt_cell_store *s) {
    size_t capacity = s->capacity ? 2 * s->capacity : 64;
    mt_stored_cell *cell = realloc(s->cell, capacity * sizeof *cell);
    if (cell) s->cell = cell;
    size_t *slot = calloc(2 * capacity, sizeof *slot);
    if (!cell || !slot) return free(slot), 0;
    free(s->slot);
    s->slot = slot;
    s->n_slots = 2 * capacity;
    s->capacity = capacity;
    for (size_t i = 0; i < s->n; i++) s->slot[find_slot(s, s->cell[i].key)] = i + 1;
    return 1;
}

const mt_stored_cell *mt_find_cell(const mt_cell_store *s, const char *key) {
    if (s->n == 0) return NULL;
    size_t at = s->slot[find_slot(s, key)];
    return at ? &s->cell[at - 1] : NULL;
}

int mt_store_cell(mt_cell_store *s, const char *key, const char *what, const mt_point *points, size_t n_points,
                  double seconds, lopt_error *err) {
    if (mt_find_cell(s, key)) return 1;
    if ((!s->cell || s->n == s->capacity) && !grow_store(s)) return report_full_memory(s, err);
    mt_stored_cell c = {.what = strdup(what), .points = malloc((n_points + 1) * sizeof *points), .seconds = seconds};
    if (!c.what || !c.points) return free(c.what), free(c.points), report_full_memory(s, err);
    snprintf(c.key, sizeof c.key, "%.*s", KEY, key);
    memcpy(c.points, points, n_points * sizeof *points);
    c.n_points = n_points;
    s->slot[find_slot(s, c.key)] = s->n + 1;
    s->cell[s->n++] = c;
    s->changed = 1;
    return 1;
}

/* ---- the file ------------------------------------------------------------------------------------ */

/* The arrays of the file; each owned. */
typedef struct columns {
    size_t n;
    char *key, *what;
    int64_t *start;
    double *points, *seconds;
} columns;

static void free_columns(columns *c) {
    free(c->key);
    free(c->what);
    free(c->start);
    free(c->points);
    free(c->seconds);
}

static int fill_columns(const mt_cell_store *s, columns *c) {
    size_t text = 1, points = 0, at = 0;
    for (size_t i = 0; i < s->n; i++) {
        text += strlen(s->cell[i].what) + 1;
        points += s->cell[i].n_points;
    }
    *c = (columns){.n = s->n};
    c->key = malloc(s->n * KEY + 1);
    c->what = malloc(text);
    c->start = malloc((s->n + 1) * sizeof *c->start);
    c->points = malloc(points * sizeof(mt_point) + 1);
    c->seconds = malloc((s->n + 1) * sizeof *c->seconds);
    if (!c->key || !c->what || !c->start || !c->points || !c->seconds) return 0;
    c->start[0] = 0;
    c->what[0] = '\0';
    for (size_t i = 0; i < s->n; i++) {
        const mt_stored_cell *one = &s->cell[i];
        memcpy(c->key + i * KEY, one->key, KEY);
        at += (size_t)sprintf(c->what + at, "%s\n", one->what);
        memcpy(c->points + (size_t)c->start[i] * POINT_NUMBERS, one->points, one->n_points * sizeof(mt_point));
        c->start[i + 1] = c->start[i] + (int64_t)one->n_points;
        c->seconds[i] = one->seconds;
    }
    return 1;
}

static int write_columns(const char *path, const columns *c, lopt_error *err) {
    int64_t n = (int64_t)c->n, starts = n + 1, points[2] = {c->start[c->n], POINT_NUMBERS}, keys[2] = {n, KEY};
    mt_hdf5 *f = mt_hdf5_create(path, err);
    int ok = f && mt_hdf5_put_attribute(f, "format", FORMAT, err) &&
             mt_hdf5_put_attribute(f, "version", VERSION, err) &&
             mt_hdf5_put(f, "key", MT_BYTES, 2, keys, c->key, err) && mt_hdf5_put_text(f, "what", c->what, err) &&
             mt_hdf5_put(f, "start", MT_INTEGERS, 1, &starts, c->start, err) &&
             mt_hdf5_put(f, "points", MT_DOUBLES, 2, points, c->points, err) &&
             mt_hdf5_put(f, "seconds", MT_DOUBLES, 1, &n, c->seconds, err) && mt_hdf5_save(f, err);
    mt_hdf5_close(f);
    return ok;
}

int mt_cell_store_save(mt_cell_store *s, lopt_error *err) {
    columns c = {0};
    if (!s->path[0] || !s->changed || s->n == 0) return 1;
    int ok = fill_columns(s, &c) ? write_columns(s->path, &c, err) : report_full_memory(s, err);
    free_columns(&c);
    s->changed = !ok;
    return ok;
}

static int check_version(const mt_hdf5 *f, const char *path, lopt_error *err) {
    static const char *const name[] = {"format", "version"}, *const expected[] = {FORMAT, VERSION};
    for (int i = 0; i < 2; i++) {
        char *found = mt_hdf5_has_attribute(f, "/", name[i]) ? mt_hdf5_attribute_text(f, "/", name[i], err) : NULL;
        int same = found && strcmp(found, expected[i]) == 0;
        if (!same)
            mt_error(
                err, LOPT_EARG,
                "%.400s: %s: found \"%.40s\", expected \"%s\": name another folder with --out, or move that file away",
                path, name[i], found ? found : "nothing", expected[i]);
        free(found);
        if (!same) return 0;
    }
    return mt_hdf5_check_seal(f, err);
}

/* *data of n items as the file says, at most `most`; NULL and a sentence. */
static void *read_column(const mt_hdf5 *f, const char *name, mt_item_type type, size_t bytes, int64_t n,
                         lopt_error *err) {
    mt_hdf5_shape shape;
    if (!mt_hdf5_shape_of(f, name, &shape, err)) return NULL;
    if (n >= 0 && shape.n != n) {
        mt_error(err, LOPT_EARG, "results.h5: %s: found %lld items, expected %lld", name, (long long)shape.n,
                 (long long)n);
        return NULL;
    }
    void *data = malloc((size_t)shape.n * bytes + 1);
    if (!data) return mt_error(err, LOPT_ENOMEM, "results.h5: %s: out of memory", name), NULL;
    if (mt_hdf5_read(f, name, type, (size_t)shape.n, data, err)) return data;
    free(data);
    return NULL;
}

static int check_starts(const columns *c, lopt_error *err) {
    int ok = c->start[0] == 0;
    for (size_t i = 0; i < c->n; i++) ok = ok && c->start[i + 1] >= c->start[i] && c->start[i + 1] < INT64_MAX / 4096;
    return ok || mt_error(err, LOPT_EARG, "results.h5: start: found numbers that do not rise from 0");
}

static int read_columns(const mt_hdf5 *f, columns *c, lopt_error *err) {
    mt_hdf5_shape shape;
    if (!mt_hdf5_shape_of(f, "seconds", &shape, err)) return 0;
    int64_t n = shape.n;
    c->n = (size_t)n;
    return (c->seconds = read_column(f, "seconds", MT_DOUBLES, sizeof(double), n, err)) &&
           (c->key = read_column(f, "key", MT_BYTES, 1, n * KEY, err)) &&
           (c->what = mt_hdf5_read_text(f, "what", err)) &&
           (c->start = read_column(f, "start", MT_INTEGERS, sizeof(int64_t), n + 1, err)) && check_starts(c, err) &&
           (c->points = read_column(f, "points", MT_DOUBLES, sizeof(double), c->start[n] * POINT_NUMBERS, err));
}

static int take_columns(mt_cell_store *s, columns *c, lopt_error *err) {
    char *line = c->what, key[KEY + 1] = "";
    for (size_t i = 0; i < c->n; i++) {
        size_t length = strcspn(line, "\n"), more = line[length] != '\0';
        line[length] = '\0';
        memcpy(key, c->key + i * KEY, KEY);
        const void *points = c->points + (size_t)c->start[i] * POINT_NUMBERS;
        if (!mt_store_cell(s, key, line, points, (size_t)(c->start[i + 1] - c->start[i]), c->seconds[i], err)) return 0;
        line += length + more;
    }
    s->changed = 0;
    return 1;
}

static int read_store(mt_cell_store *s, lopt_error *err) {
    struct stat file;
    columns c = {0};
    if (stat(s->path, &file) != 0) return 1;
    mt_hdf5 *f = mt_hdf5_open(s->path, err);
    int ok = f && check_version(f, s->path, err) && read_columns(f, &c, err) && take_columns(s, &c, err);
    free_columns(&c);
    mt_hdf5_close(f);
    return ok;
}

mt_cell_store *mt_cell_store_open(const char *dir, lopt_error *err) {
    mt_cell_store *s = calloc(1, sizeof *s);
    if (!s) return mt_error(err, LOPT_ENOMEM, "out of memory for results"), NULL;
    if (dir) snprintf(s->path, sizeof s->path, "%.1100s/results.h5", dir);
    if (!dir || read_store(s, err)) return s;
    mt_cell_store_close(s);
    return NULL;
}

void mt_cell_store_close(mt_cell_store *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->cell[i].what);
        free(s->cell[i].points);
    }
    free(s->cell);
    free(s->slot);
    free(s);
}
