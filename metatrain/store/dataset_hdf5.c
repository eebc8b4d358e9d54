/* SPDX-License-Identifier: Apache-2.0
 *
 * dataset_hdf5.c - see dataset_hdf5.h. */
#include "store/dataset_hdf5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/hdf5_file.h"

static const char *const part_names[] = {TASK_SPLITS(TASK_STRING)};

/* ---- reading --------------------------------------------------------------------------------- */

static int report_unfit(const task_raw *raw, const char *name, const mt_hdf5_shape *s, lopt_error *err) {
    return mt_error(err, LOPT_EARG,
                    "%s: %s: found %d axes, expected uint8 images [n, H, W] or [n, H, W, C], or "
                    "float32 features [n, d]",
                    raw->path, name, s->rank);
}

static int read_examples(const mt_hdf5 *f, const char *name, int table, task_raw *raw, lopt_error *err) {
    mt_hdf5_shape s;
    if (!mt_hdf5_shape_of(f, name, &s, err)) return 0;
    int fits = table ? s.rank == 2 && s.type == MT_FLOATS : (s.rank == 3 || s.rank == 4) && s.type == MT_BYTES;
    for (int i = 1; i < s.rank; i++) fits &= s.dim[i] >= 1 && s.dim[i] <= 65536;
    if (!fits) return report_unfit(raw, name, &s, err);
    raw->rows = table ? 1 : (int)s.dim[1];
    raw->cols = (int)s.dim[table ? 1 : 2];
    raw->channels = s.rank == 4 ? (int)s.dim[3] : 1;
    if (!task_raw_reserve(raw, (size_t)s.dim[0], table, err)) return 0;
    raw->n = (size_t)s.dim[0];
    if (!mt_hdf5_read(f, name, s.type, (size_t)s.n, table ? (void *)raw->numbers : raw->bytes, err)) return 0;
    for (int64_t i = 0; table && i < s.n; i++)
        if (!(fabsf(raw->numbers[i]) < 1e30f))
            return mt_error(err, LOPT_EARG, "%s: %s: number %lld is %g", raw->path, name, (long long)i,
                            (double)raw->numbers[i]);
    return 1;
}

/* Labels that an int32_t cannot hold become -1, which no set allows. */
static int read_labels(const mt_hdf5 *f, const char *name, task_raw *raw, lopt_error *err) {
    mt_hdf5_shape s;
    if (!mt_hdf5_shape_of(f, name, &s, err)) return 0;
    if (s.rank != 1 || (size_t)s.n != raw->n || (s.type != MT_BYTES && s.type != MT_INTEGERS))
        return mt_error(err, LOPT_EARG,
                        "%s: %s: found %lld numbers on %d axes, expected %zu of type uint8 or int64 "
                        "on one",
                        raw->path, name, (long long)s.n, s.rank, raw->n);
    void *data = malloc(raw->n * (s.type == MT_BYTES ? 1 : sizeof(int64_t)));
    if (!data) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", raw->path);
    int done = mt_hdf5_read(f, name, s.type, raw->n, data, err);
    for (size_t i = 0; done && i < raw->n; i++) {
        int64_t label = s.type == MT_BYTES ? ((unsigned char *)data)[i] : ((int64_t *)data)[i];
        raw->labels[i] = label < 0 || label > INT32_MAX ? -1 : (int32_t)label;
    }
    raw->n_labels = raw->n;
    free(data);
    return done;
}

static int read_part(const mt_hdf5 *f, const char *path, const char *part, task_raw *raw, lopt_error *err) {
    char images[64], features[64], labels[64];
    snprintf(raw->path, sizeof raw->path, "%s", path);
    snprintf(images, sizeof images, "%s/images", part);
    snprintf(features, sizeof features, "%s/features", part);
    snprintf(labels, sizeof labels, "%s/labels", part);
    int table = !mt_hdf5_has(f, images);
    if (table && !mt_hdf5_has(f, features)) {
        if (strcmp(part, part_names[TASK_TRAIN]) != 0) return 1;
        return mt_error(err, LOPT_EARG, "%s: holds no %s and no %s", path, images, features);
    }
    return read_examples(f, table ? features : images, table, raw, err) && read_labels(f, labels, raw, err);
}

int mt_data_file_read(const char *path, task_raw parts[TASK_N_SPLITS], lopt_error *err) {
    mt_hdf5 *f = mt_hdf5_open(path, err);
    int done = f != NULL;
    for (int i = 0; done && i < TASK_N_SPLITS; i++) done = read_part(f, path, part_names[i], &parts[i], err);
    mt_hdf5_close(f);
    return done;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put_part(mt_hdf5 *f, const char *part, const task_raw *raw, lopt_error *err) {
    char name[64];
    int64_t n = (int64_t)raw->n, dim[4] = {n, raw->rows, raw->cols, raw->channels};
    snprintf(name, sizeof name, "%s/%s", part, raw->numbers ? "features" : "images");
    int ok = raw->numbers ? mt_hdf5_put(f, name, MT_FLOATS, 2, (int64_t[]){n, raw->cols}, raw->numbers, err)
                          : mt_hdf5_put(f, name, MT_BYTES, 4, dim, raw->bytes, err);
    int64_t *labels = malloc(raw->n * sizeof *labels);
    if (!labels) return mt_error(err, LOPT_ENOMEM, "out of memory for %zu labels", raw->n);
    for (size_t i = 0; i < raw->n; i++) labels[i] = raw->labels[i];
    snprintf(name, sizeof name, "%s/labels", part);
    ok = ok && mt_hdf5_put(f, name, MT_INTEGERS, 1, &n, labels, err);
    free(labels);
    return ok;
}

int mt_data_file_write(const char *path, const task_raw parts[TASK_N_SPLITS], const char *classes, lopt_error *err) {
    mt_hdf5 *f = mt_hdf5_create(path, err);
    int ok = f != NULL;
    for (int i = 0; ok && i < TASK_N_SPLITS; i++) ok = !parts[i].n || put_part(f, part_names[i], &parts[i], err);
    ok = ok && (!classes || mt_hdf5_put_text(f, "classes", classes, err)) && mt_hdf5_save(f, err);
    mt_hdf5_close(f);
    return ok;
}
