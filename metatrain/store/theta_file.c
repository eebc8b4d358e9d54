/* SPDX-License-Identifier: Apache-2.0
 *
 * theta_file.c - see theta_file.h and docs/file-formats.md.
 *
 *     /                      attributes format = "metatrain theta 1", optimizer = preset, digest
 *     /settings/NAME         every hyperparameter, as the text that lopt_create accepts
 *     /theta/BLOCK           float32, the block's shape
 *     /provenance/NAME       text */
#include "store/theta_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "store/hdf5_file.h"

#define FORMAT "metatrain theta 1"
enum { MAX_SETTINGS = 64, VALUE_BYTES = 256 };

void mt_theta_digest(const lopt_optimizer *opt, const float *theta, char hex[33]) {
    mt_digest d;
    mt_digest_begin(&d);
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        mt_digest_add(&d, b->name, strlen(b->name) + 1);
        mt_digest_add(&d, &b->rank, sizeof b->rank);
        mt_digest_add(&d, b->dim, (size_t)b->rank * sizeof b->dim[0]);
        mt_digest_add(&d, theta + b->offset, b->size * sizeof(float));
    }
    mt_digest_end(&d, hex);
}

/* Index of the first number of a block that is not finite, or its size. */
static size_t first_not_finite(const lopt_block *b, const float *theta) {
    size_t i = 0;
    while (i < b->size && isfinite(theta[b->offset + i])) i++;
    return i;
}

static int check_finite(const char *path, const lopt_block *b, const float *theta, lopt_error *err) {
    size_t i = first_not_finite(b, theta);
    if (i == b->size) return 1;
    return mt_error(err, LOPT_EARG, "%s: theta block %s, index %zu is %s, expected finite numbers", path, b->name, i,
                    isnan(theta[b->offset + i]) ? "NaN" : "infinite");
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put_settings(mt_hdf5 *f, const lopt_optimizer *opt, lopt_error *err) {
    lopt_hyper_info hyper;
    const char *preset = lopt_info(opt)->name;
    for (size_t i = 0; lopt_hyper(preset, i, &hyper); i++) {
        char name[MT_HDF5_NAME], value[VALUE_BYTES];
        snprintf(name, sizeof name, "settings/%s", hyper.name);
        if (!lopt_get(opt, hyper.name, value, sizeof value))
            return mt_error(err, LOPT_EARG, "optimizer %s cannot say its %s", preset, hyper.name);
        if (!mt_hdf5_put_text(f, name, value, err)) return 0;
    }
    return 1;
}

static int put_blocks(mt_hdf5 *f, const char *path, const lopt_optimizer *opt, const float *theta, lopt_error *err) {
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        char name[MT_HDF5_NAME];
        snprintf(name, sizeof name, "theta/%s", b->name);
        if (!check_finite(path, b, theta, err) ||
            !mt_hdf5_put(f, name, MT_FLOATS, b->rank, b->dim, theta + b->offset, err))
            return 0;
    }
    return 1;
}

static int put_notes(mt_hdf5 *f, const mt_note *notes, int n_notes, lopt_error *err) {
    for (int i = 0; i < n_notes; i++) {
        char name[MT_HDF5_NAME];
        snprintf(name, sizeof name, "provenance/%s", notes[i].name);
        if (!mt_hdf5_put_text(f, name, notes[i].value, err)) return 0;
    }
    return 1;
}

int mt_theta_file_write(const char *path, const lopt_optimizer *opt, const float *theta, const mt_note *notes,
                        int n_notes, lopt_error *err) {
    char hex[33];
    if (n_notes > MT_MAX_PROVENANCE)
        return mt_error(err, LOPT_EARG, "%s: %d notes of provenance, at most %d", path, n_notes, MT_MAX_PROVENANCE);
    mt_hdf5 *f = mt_hdf5_create(path, err);
    if (!f) return 0;
    mt_theta_digest(opt, theta, hex);
    int ok = mt_hdf5_put_attribute(f, "format", FORMAT, err) &&
             mt_hdf5_put_attribute(f, "optimizer", lopt_info(opt)->name, err) &&
             mt_hdf5_put_attribute(f, "digest", hex, err) && put_settings(f, opt, err) &&
             put_blocks(f, path, opt, theta, err) && put_notes(f, notes, n_notes, err) && mt_hdf5_save(f, err);
    mt_hdf5_close(f);
    return ok;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int check_format(const mt_hdf5 *f, const char *path, lopt_error *err) {
    if (!mt_hdf5_has_attribute(f, "/", "format"))
        return mt_error(err, LOPT_EARG, "%s: is HDF5, but not a theta file (no attribute \"format\")", path);
    char *format = mt_hdf5_attribute_text(f, "/", "format", err);
    int ok = format != NULL;
    if (ok && strcmp(format, FORMAT) != 0)
        ok = mt_error(err, LOPT_EARG, "%s: its format is \"%.60s\", expected \"%s\"", path, format, FORMAT);
    free(format);
    return ok;
}

/* Texts of the links of a group. names[i], values[i] are malloc'd, *n counts them, also on failure.
 */
static int read_texts(const mt_hdf5 *f, const char *path, const char *group, int max, char **names, char **values,
                      int *n, lopt_error *err) {
    char name[MT_HDF5_NAME], full[2 * MT_HDF5_NAME];
    *n = 0;
    if (!mt_hdf5_has(f, group)) return 1;
    for (int i = 0; mt_hdf5_name(f, group, i, name); i++) {
        if (i == max) return mt_error(err, LOPT_EARG, "%s: more than %d entries in /%s", path, max, group);
        snprintf(full, sizeof full, "%s/%s", group, name);
        char *value = mt_hdf5_read_text(f, full, err);
        char *copy = value ? strdup(name) : NULL;
        if (!copy) {
            free(value);
            return value ? mt_error(err, LOPT_ENOMEM, "%s: out of memory", path) : 0;
        }
        names[i] = copy;
        values[i] = value;
        *n = i + 1;
    }
    return 1;
}

static lopt_optimizer *create_saved_optimizer(const char *path, const char *preset, char *const *names,
                                              char *const *values, int n, lopt_error *err) {
    lopt_setting settings[MAX_SETTINGS];
    lopt_error why = {LOPT_OK, ""};
    for (int i = 0; i < n; i++) settings[i] = (lopt_setting){names[i], values[i]};
    lopt_optimizer *opt = lopt_create(preset, settings, (size_t)n, &why);
    if (!opt) mt_error(err, why.status, "%s: %.440s", path, why.text);
    return opt;
}

static lopt_optimizer *read_saved_optimizer(const mt_hdf5 *f, const char *path, lopt_error *err) {
    char *names[MAX_SETTINGS], *values[MAX_SETTINGS];
    lopt_optimizer *opt = NULL;
    int n;
    char *preset = mt_hdf5_attribute_text(f, "/", "optimizer", err);
    if (!preset) return NULL;
    if (read_texts(f, path, "settings", MAX_SETTINGS, names, values, &n, err))
        opt = create_saved_optimizer(path, preset, names, values, n, err);
    for (int i = 0; i < n; i++) {
        free(names[i]);
        free(values[i]);
    }
    free(preset);
    return opt;
}

void mt_shape_text(int rank, const int64_t *dim, char *text, size_t bytes) {
    size_t used = (size_t)snprintf(text, bytes, "(");
    for (int i = 0; i < rank && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%lld", i ? ", " : "", (long long)dim[i]);
    if (used < bytes) snprintf(text + used, bytes - used, ")");
}

static int read_saved_block(const mt_hdf5 *f, const char *path, const lopt_optimizer *opt, const lopt_block *b,
                            float *theta, lopt_error *err) {
    char name[MT_HDF5_NAME], found[200], expected[120];
    mt_hdf5_shape shape;
    snprintf(name, sizeof name, "theta/%s", b->name);
    if (!mt_hdf5_shape_of(f, name, &shape, err)) return 0;
    if (shape.rank != b->rank || memcmp(shape.dim, b->dim, (size_t)b->rank * sizeof b->dim[0]) != 0) {
        mt_shape_text(shape.rank, shape.dim, found, sizeof found);
        mt_shape_text(b->rank, b->dim, expected, sizeof expected);
        return mt_error(err, LOPT_EARG, "%s: theta block %s has shape %s, optimizer %s expects %s", path, b->name,
                        found, lopt_info(opt)->name, expected);
    }
    return mt_hdf5_read(f, name, MT_FLOATS, b->size, theta + b->offset, err) && check_finite(path, b, theta, err);
}

static int is_group_of_blocks(const lopt_optimizer *opt, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const char *block = lopt_block_at(opt, i)->name;
        if (strncmp(block, name, n) == 0 && block[n] == '/') return 1;
    }
    return 0;
}

/* Whatever lies in group /theta/FOLDER must be a block; names of blocks may have slashes. */
static int check_no_other_blocks(const mt_hdf5 *f, const char *path, const lopt_optimizer *opt, const char *folder,
                                 lopt_error *err) {
    char group[MT_HDF5_NAME], name[MT_HDF5_NAME], block[2 * MT_HDF5_NAME];
    snprintf(group, sizeof group, folder[0] ? "theta/%s" : "theta%s", folder);
    for (int64_t i = 0; mt_hdf5_has(f, group) && mt_hdf5_name(f, group, i, name); i++) {
        snprintf(block, sizeof block, "%s%s%s", folder, folder[0] ? "/" : "", name);
        if (is_group_of_blocks(opt, block)) {
            if (!check_no_other_blocks(f, path, opt, block, err)) return 0;
        } else if (!lopt_block_find(opt, block))
            return mt_error(err, LOPT_EARG, "%s: theta block %.200s is not one of optimizer %s", path, block,
                            lopt_info(opt)->name);
    }
    return 1;
}

static int read_saved_theta(const mt_hdf5 *f, const char *path, lopt_optimizer *opt, lopt_error *err) {
    if (lopt_n_theta(opt) == 0)
        return mt_error(err, LOPT_EARG, "%s: optimizer %s is hand-designed and has no theta", path,
                        lopt_info(opt)->name);
    float *theta = malloc(lopt_n_theta(opt) * sizeof *theta);
    int ok =
        theta ? check_no_other_blocks(f, path, opt, "", err) : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; ok && i < lopt_n_blocks(opt); i++)
        ok = read_saved_block(f, path, opt, lopt_block_at(opt, i), theta, err);
    if (ok) lopt_set_theta(opt, theta);
    free(theta);
    return ok;
}

mt_theta_file *mt_theta_file_read(const char *path, lopt_error *err) {
    mt_hdf5 *f = mt_hdf5_open(path, err);
    if (!f) return NULL;
    mt_theta_file *t = calloc(1, sizeof *t);
    int ok = t ? check_format(f, path, err) : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    ok = ok && (t->optimizer = read_saved_optimizer(f, path, err)) != NULL;
    /* Content before the seal: what is wrong in it says more than "damaged". */
    ok = ok && read_saved_theta(f, path, t->optimizer, err) &&
         read_texts(f, path, "provenance", MT_MAX_PROVENANCE, t->note_name, t->note_value, &t->n_notes, err) &&
         mt_hdf5_check_seal(f, err);
    mt_hdf5_close(f);
    if (ok) return t;
    mt_theta_file_free(t);
    return NULL;
}

void mt_theta_file_free(mt_theta_file *theta) {
    if (!theta) return;
    for (int i = 0; i < theta->n_notes; i++) {
        free(theta->note_name[i]);
        free(theta->note_value[i]);
    }
    lopt_destroy(theta->optimizer);
    free(theta);
}
