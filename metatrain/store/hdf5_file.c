/* SPDX-License-Identifier: Apache-2.0
 *
 * hdf5_file.c - see hdf5_file.h.
 *
 * Files are built by HDF5's in-memory driver and written by atomic_file.c: HDF5 never sees a full disk, which it
 * does not survive (a failed flush leaves handles that cannot be closed). */
#include "store/hdf5_file.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/read_file.h"

enum { SEAL_BYTES = 512 };    /* the smallest user block of HDF5 */
enum { PROBE_SECONDS = 120 }; /* a damaged file may keep HDF5 busy for ever */
#define MAX_TEXT_BYTES ((int64_t)16 << 20)

struct mt_hdf5 {
    hid_t file;
    int64_t file_bytes; /* when reading */
    int sealed;         /* when reading: the file is ours and unchanged */
    void *image;        /* when writing: the memory that HDF5 built the file in, once it is closed */
    char path[];
};

/* ---- errors ---------------------------------------------------------------------------------- */

static herr_t innermost(unsigned n, const H5E_error2_t *error, void *text) {
    if (n == 0 && error->desc) snprintf(text, 256, "%s", error->desc);
    return 0;
}

/* The innermost line of HDF5's error stack says what happened; the outer ones say where in HDF5.
 * Must be called before any other call of HDF5, which would clear the stack. */
static int report_hdf5(lopt_error *err, lopt_status status, const mt_hdf5 *f, const char *name, const char *what) {
    char cause[256] = "HDF5 gives no reason";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, cause);
    return mt_error(err, status, "%s: %s%s%s: %s", f->path, name, name[0] ? ": " : "", what, cause);
}

static mt_hdf5 *allocate_array(const char *path, lopt_error *err) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    size_t n = strlen(path) + 1;
    mt_hdf5 *f = calloc(1, sizeof *f + n);
    if (!f) {
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
        return NULL;
    }
    memcpy(f->path, path, n);
    f->file = H5I_INVALID_HID;
    return f;
}

void mt_hdf5_close(mt_hdf5 *f) {
    if (f && f->file >= 0) H5Fclose(f->file);
    if (f) free(f->image);
    free(f);
}

/* ---- types ----------------------------------------------------------------------------------- */

static hid_t stored_type(mt_item_type type) {
    switch (type) {
    case MT_FLOATS:
        return H5T_IEEE_F32LE;
    case MT_INTEGERS:
        return H5T_STD_I64LE;
    case MT_DOUBLES:
        return H5T_IEEE_F64LE;
    default:
        return H5T_STD_U8LE;
    }
}

static hid_t memory_type(mt_item_type type) {
    switch (type) {
    case MT_FLOATS:
        return H5T_NATIVE_FLOAT;
    case MT_INTEGERS:
        return H5T_NATIVE_INT64;
    case MT_DOUBLES:
        return H5T_NATIVE_DOUBLE;
    default:
        return H5T_NATIVE_UINT8;
    }
}

static size_t item_bytes(mt_item_type type) {
    return type == MT_BYTES ? 1 : type == MT_FLOATS ? 4 : 8;
}

static const char *hdf5_type_name(mt_item_type type) {
    switch (type) {
    case MT_FLOATS:
        return "float32";
    case MT_INTEGERS:
        return "int64";
    case MT_DOUBLES:
        return "float64";
    default:
        return "uint8";
    }
}

static int type_of(hid_t stored, mt_item_type *type) {
    H5T_class_t kind = H5Tget_class(stored);
    size_t bytes = H5Tget_size(stored);
    if (kind == H5T_FLOAT && bytes == 4)
        *type = MT_FLOATS;
    else if (kind == H5T_FLOAT && bytes == 8)
        *type = MT_DOUBLES;
    else if (kind == H5T_INTEGER && bytes == 8 && H5Tget_sign(stored) == H5T_SGN_2)
        *type = MT_INTEGERS;
    else if (kind == H5T_INTEGER && bytes == 1)
        *type = MT_BYTES;
    else
        return 0;
    return 1;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Memory of a file being built. Ours, so that it outlives the file: H5Fget_file_image copies a file
 * that is still open for writing and, in 1.10, leaves a superblock whose checksum is wrong. */
static void *image_malloc(size_t n, H5FD_file_image_op_t op, void *f) {
    (void)op, (void)f;
    return malloc(n);
}

static void *image_memcpy(void *to, const void *from, size_t n, H5FD_file_image_op_t op, void *f) {
    (void)op, (void)f;
    return memcpy(to, from, n);
}

static void *image_realloc(void *data, size_t n, H5FD_file_image_op_t op, void *f) {
    (void)op, (void)f;
    return realloc(data, n);
}

static herr_t image_free(void *data, H5FD_file_image_op_t op, void *f) {
    if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE)
        ((mt_hdf5 *)f)->image = data;
    else
        free(data);
    return 0;
}

/* HDF5 wants to own a copy of f; it may share it. */
static void *share(void *f) {
    return f;
}

static herr_t unshare(void *f) {
    (void)f;
    return 0;
}

mt_hdf5 *mt_hdf5_create(const char *path, lopt_error *err) {
    mt_hdf5 *f = allocate_array(path, err);
    if (!f) return NULL;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    H5FD_file_image_callbacks_t memory = {image_malloc, image_memcpy, image_realloc, image_free, share, unshare, f};
    H5Pset_fapl_core(access, 1 << 20, 0);
    H5Pset_file_image_callbacks(access, &memory);
    /* The latest format checksums its own structures. */
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_obj_track_times(creation, 0);
    /* A name that cannot exist, unlike for each file: HDF5 would read a file of that name first. */
    char name[64];
    snprintf(name, sizeof name, "/dev/null/%p", (void *)f);
    f->file = H5Fcreate(name, H5F_ACC_TRUNC, creation, access);
    if (f->file < 0) report_hdf5(err, LOPT_ENOMEM, f, "", "cannot be built in memory");
    H5Pclose(access);
    H5Pclose(creation);
    if (f->file < 0) {
        mt_hdf5_close(f);
        return NULL;
    }
    return f;
}

/* Makes the groups on the way to `name`. By hand, because groups that HDF5 makes by itself store
 * times. */
static void make_groups(mt_hdf5 *f, const char *name) {
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, 0);
    char part[MT_HDF5_NAME];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        if (H5Lexists(f->file, part, H5P_DEFAULT) > 0) continue;
        hid_t group = H5Gcreate2(f->file, part, H5P_DEFAULT, creation, H5P_DEFAULT);
        if (group >= 0) H5Gclose(group);
    }
    H5Pclose(creation);
}

static int put_dataset(mt_hdf5 *f, const char *name, hid_t stored, hid_t memory, hid_t space, const void *data,
                       lopt_error *err) {
    make_groups(f, name);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, 0);
    hid_t set = H5Dcreate2(f->file, name, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    int ok = set >= 0 && H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (!ok) report_hdf5(err, LOPT_ENOMEM, f, name, "cannot be stored");
    if (set >= 0) H5Dclose(set);
    H5Pclose(creation);
    return ok;
}

int mt_hdf5_put(mt_hdf5 *f, const char *name, mt_item_type type, int rank, const int64_t *dim, const void *data,
                lopt_error *err) {
    hsize_t size[MT_HDF5_MAX_RANK];
    for (int i = 0; i < rank; i++) size[i] = (hsize_t)dim[i];
    hid_t space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    int ok = put_dataset(f, name, stored_type(type), memory_type(type), space, data, err);
    H5Sclose(space);
    return ok;
}

/* Fixed length, because HDF5 does not checksum where it keeps strings of variable length. */
static hid_t text_type(const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

int mt_hdf5_put_text(mt_hdf5 *f, const char *name, const char *text, lopt_error *err) {
    hid_t type = text_type(text), space = H5Screate(H5S_SCALAR);
    int ok = put_dataset(f, name, type, type, space, text, err);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

int mt_hdf5_put_attribute(mt_hdf5 *f, const char *name, const char *text, lopt_error *err) {
    hid_t type = text_type(text), space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(f->file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    int ok = attribute >= 0 && H5Awrite(attribute, type, text) >= 0;
    if (!ok) report_hdf5(err, LOPT_ENOMEM, f, name, "cannot be stored");
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

/* ---- the seal -------------------------------------------------------------------------------- */

static void write_seal(const char hex[MT_DIGEST_HEX], char seal[SEAL_BYTES]) {
    memset(seal, '\n', SEAL_BYTES);
    int n = snprintf(seal, SEAL_BYTES, "metatrain: HDF5 follows after %d bytes\nxxh3-128 of it: %s\n", SEAL_BYTES, hex);
    seal[n] = '\n';
}

static void close_and_seal(mt_hdf5 *f, size_t n, char *bytes) {
    char hex[MT_DIGEST_HEX];
    mt_digest d;
    H5Fclose(f->file);
    f->file = H5I_INVALID_HID;
    memcpy(bytes + SEAL_BYTES, f->image, n);
    mt_digest_begin(&d);
    mt_digest_add(&d, bytes + SEAL_BYTES, n);
    mt_digest_end(&d, hex);
    write_seal(hex, bytes);
}

int mt_hdf5_save(mt_hdf5 *f, lopt_error *err) {
    if (H5Fflush(f->file, H5F_SCOPE_GLOBAL) < 0)
        return report_hdf5(err, LOPT_ENOMEM, f, "", "cannot be built in memory");
    ssize_t n = H5Fget_file_image(f->file, NULL, 0); /* size; the memory itself may be longer */
    char *bytes = n > 0 ? malloc(SEAL_BYTES + (size_t)n) : NULL;
    if (!bytes) return mt_error(err, LOPT_ENOMEM, "%s: out of memory for a file of %zd bytes", f->path, n);
    close_and_seal(f, (size_t)n, bytes);
    int ok = mt_write_atomically(f->path, bytes, SEAL_BYTES + (size_t)n, err);
    free(bytes);
    return ok;
}

static int seal_holds(const char *path) {
    char hex[MT_DIGEST_HEX], expected[SEAL_BYTES], found[SEAL_BYTES];
    int64_t n_bytes;
    if (!mt_digest_file(path, SEAL_BYTES, hex, &n_bytes, NULL)) return 0;
    write_seal(hex, expected);
    FILE *file = mt_file_open(path, NULL);
    size_t n = file ? fread(found, 1, SEAL_BYTES, file) : 0;
    if (file) fclose(file);
    return n == SEAL_BYTES && memcmp(found, expected, SEAL_BYTES) == 0;
}

int mt_hdf5_check_seal(const mt_hdf5 *f, lopt_error *err) {
    if (f->sealed) return 1;
    return mt_error(err, LOPT_EARG,
                    "%s: damaged, or changed after it was written: its content does not match the "
                    "digest in its first %d bytes",
                    f->path, SEAL_BYTES);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int survives_probe(const char *path, lopt_error *err);

/* HDF5 says these things in a sentence of its own kind. */
static int check_readable(const char *path, lopt_error *err) {
    struct stat info;
    if (stat(path, &info) != 0 || access(path, R_OK) != 0)
        return mt_error(err, LOPT_EARG, "%s: cannot open this file: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return mt_error(err, LOPT_EARG, "%s: is not a file", path);
    return 1;
}

static mt_hdf5 *open_hdf5(const char *path, lopt_error *err) {
    mt_hdf5 *f = allocate_array(path, err);
    if (!f) return NULL;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, 0, 1);
    f->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    hsize_t bytes = 0;
    int ok = (f->file >= 0 && H5Fget_filesize(f->file, &bytes) >= 0) ||
             report_hdf5(err, LOPT_EARG, f, "", "cannot be read as HDF5");
    f->file_bytes = (int64_t)bytes;
    H5Pclose(access);
    if (ok) return f;
    mt_hdf5_close(f);
    return NULL;
}

mt_hdf5 *mt_hdf5_open(const char *path, lopt_error *err) {
    if (!check_readable(path, err)) return NULL;
    int sealed = seal_holds(path);
    if (!sealed && !survives_probe(path, err)) return NULL;
    mt_hdf5 *f = open_hdf5(path, err);
    if (f) f->sealed = sealed;
    return f;
}

int mt_hdf5_has(const mt_hdf5 *f, const char *name) {
    char part[MT_HDF5_NAME];
    for (const char *end = name;;) {
        end = strchr(end + 1, '/');
        int n = end ? (int)(end - name) : (int)strlen(name);
        if (n == 0 || snprintf(part, sizeof part, "%.*s", n, name) >= (int)sizeof part) return 0;
        if (strcmp(part, "/") != 0 && H5Lexists(f->file, part, H5P_DEFAULT) <= 0) return 0;
        if (!end) return 1;
    }
}

int mt_hdf5_name(const mt_hdf5 *f, const char *group, int64_t i, char name[MT_HDF5_NAME]) {
    ssize_t n =
        H5Lget_name_by_idx(f->file, group, H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, name, MT_HDF5_NAME, H5P_DEFAULT);
    return n > 0 && n < MT_HDF5_NAME;
}

static hid_t open_set(const mt_hdf5 *f, const char *name, lopt_error *err) {
    if (!mt_hdf5_has(f, name)) {
        mt_error(err, LOPT_EARG, "%s: has no %s", f->path, name);
        return H5I_INVALID_HID;
    }
    hid_t set = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (set < 0) report_hdf5(err, LOPT_EARG, f, name, "is not a readable data set");
    return set;
}

static int read_dimensions(const mt_hdf5 *f, const char *name, hid_t space, mt_hdf5_shape *shape, lopt_error *err) {
    hsize_t dim[H5S_MAX_RANK];
    H5S_class_t kind = H5Sget_simple_extent_type(space);
    shape->rank = H5Sget_simple_extent_dims(space, dim, NULL);
    if ((kind != H5S_SCALAR && kind != H5S_SIMPLE) || shape->rank < 0 || shape->rank > MT_HDF5_MAX_RANK)
        return mt_error(err, LOPT_EARG, "%s: %s has %d dimensions, at most %d are read", f->path, name, shape->rank,
                        MT_HDF5_MAX_RANK);
    /* gzip shrinks at most 1032-fold, so no honest array is larger than this. */
    int64_t limit = f->file_bytes > INT64_MAX / 2048 ? INT64_MAX : 1100 * f->file_bytes;
    shape->n = 1;
    for (int i = 0; i < shape->rank; i++) {
        shape->dim[i] = dim[i] > INT64_MAX ? INT64_MAX : (int64_t)dim[i];
        if (shape->n > 0 && shape->dim[i] > limit / (int64_t)item_bytes(shape->type) / shape->n)
            return mt_error(err, LOPT_EARG, "%s: %s claims more numbers than a file of %lld bytes can hold", f->path,
                            name, (long long)f->file_bytes);
        shape->n *= shape->dim[i];
    }
    return 1;
}

static int shape_of_set(const mt_hdf5 *f, const char *name, hid_t set, mt_hdf5_shape *shape, lopt_error *err) {
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    int ok = type >= 0 && space >= 0 ? 1 : report_hdf5(err, LOPT_EARG, f, name, "has no readable type or shape");
    if (ok && !type_of(type, &shape->type))
        ok = mt_error(err, LOPT_EARG, "%s: %s is of another type than float32, float64, int64 or uint8", f->path, name);
    ok = ok && read_dimensions(f, name, space, shape, err);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return ok;
}

int mt_hdf5_shape_of(const mt_hdf5 *f, const char *name, mt_hdf5_shape *shape, lopt_error *err) {
    hid_t set = open_set(f, name, err);
    if (set < 0) return 0;
    int ok = shape_of_set(f, name, set, shape, err);
    H5Dclose(set);
    return ok;
}

int mt_hdf5_read(const mt_hdf5 *f, const char *name, mt_item_type type, size_t n, void *data, lopt_error *err) {
    hid_t set = open_set(f, name, err);
    if (set < 0) return 0;
    mt_hdf5_shape shape;
    int ok = shape_of_set(f, name, set, &shape, err);
    if (ok && (shape.type != type || (uint64_t)shape.n != n))
        ok = mt_error(err, LOPT_EARG, "%s: %s holds %lld numbers of type %s, expected %zu of type %s", f->path, name,
                      (long long)shape.n, hdf5_type_name(shape.type), n, hdf5_type_name(type));
    if (ok && n > 0 && H5Dread(set, memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        ok = report_hdf5(err, LOPT_EARG, f, name, "cannot be read");
    H5Dclose(set);
    return ok;
}

/* ---- texts and attributes -------------------------------------------------------------------- */

/* Reads a data set or an attribute into memory laid out as `memory`. */
static int read_any(hid_t object, int is_attribute, hid_t memory, void *data) {
    return is_attribute ? H5Aread(object, memory, data) >= 0
                        : H5Dread(object, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
}

static char *read_string(hid_t object, int is_attribute, hid_t type, hid_t space) {
    hid_t memory = H5Tcopy(H5T_C_S1);
    H5Tset_cset(memory, H5Tget_cset(type));
    char *text = NULL;
    if (H5Tis_variable_str(type) > 0) {
        char *found = NULL;
        H5Tset_size(memory, H5T_VARIABLE);
        if (read_any(object, is_attribute, memory, &found)) text = strdup(found ? found : "");
        if (found) H5Dvlen_reclaim(memory, space, H5P_DEFAULT, &found);
    } else {
        size_t n = H5Tget_size(type);
        text = n < (size_t)MAX_TEXT_BYTES ? calloc(1, n + 1) : NULL;
        H5Tset_size(memory, n + 1);
        if (text && !read_any(object, is_attribute, memory, text)) {
            free(text);
            text = NULL;
        }
    }
    H5Tclose(memory);
    return text;
}

/* One string, else NULL and a sentence. */
static char *text_of_attribute(const mt_hdf5 *f, const char *name, hid_t object, int is_attribute, hid_t type,
                               hid_t space, lopt_error *err) {
    char *text = NULL;
    if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1)
        mt_error(err, LOPT_EARG, "%s: %s is not a text", f->path, name);
    else if ((text = read_string(object, is_attribute, type, space)) == NULL)
        report_hdf5(err, LOPT_EARG, f, name, "cannot be read as text");
    return text;
}

static char *text_from_bytes(const mt_hdf5 *f, const char *name, int64_t n, lopt_error *err) {
    char *text = n < MAX_TEXT_BYTES ? calloc(1, (size_t)n + 1) : NULL;
    if (!text)
        mt_error(err, LOPT_ENOMEM, "%s: no memory for the %lld bytes of %s", f->path, (long long)n, name);
    else if (!mt_hdf5_read(f, name, MT_BYTES, (size_t)n, text, err)) {
        free(text);
        text = NULL;
    }
    return text;
}

char *mt_hdf5_read_text(const mt_hdf5 *f, const char *name, lopt_error *err) {
    hid_t set = open_set(f, name, err);
    if (set < 0) return NULL;
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    mt_hdf5_shape shape;
    char *text;
    if (H5Tget_class(type) == H5T_INTEGER)
        text = shape_of_set(f, name, set, &shape, err) ? text_from_bytes(f, name, shape.n, err) : NULL;
    else
        text = text_of_attribute(f, name, set, 0, type, space, err);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return text;
}

int mt_hdf5_has_attribute(const mt_hdf5 *f, const char *object, const char *attribute) {
    return mt_hdf5_has(f, object) && H5Aexists_by_name(f->file, object, attribute, H5P_DEFAULT) > 0;
}

static hid_t open_attribute(const mt_hdf5 *f, const char *object, const char *attribute, lopt_error *err) {
    if (!mt_hdf5_has_attribute(f, object, attribute)) {
        mt_error(err, LOPT_EARG, "%s: %s has no attribute \"%s\"", f->path, object, attribute);
        return H5I_INVALID_HID;
    }
    hid_t found = H5Aopen_by_name(f->file, object, attribute, H5P_DEFAULT, H5P_DEFAULT);
    if (found < 0) report_hdf5(err, LOPT_EARG, f, attribute, "is not a readable attribute");
    return found;
}

char *mt_hdf5_attribute_text(const mt_hdf5 *f, const char *object, const char *attribute, lopt_error *err) {
    hid_t found = open_attribute(f, object, attribute, err);
    if (found < 0) return NULL;
    hid_t type = H5Aget_type(found), space = H5Aget_space(found);
    char *text = text_of_attribute(f, attribute, found, 1, type, space, err);
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(found);
    return text;
}

int mt_hdf5_attribute_integer(const mt_hdf5 *f, const char *object, const char *attribute, int64_t *value,
                              lopt_error *err) {
    hid_t found = open_attribute(f, object, attribute, err);
    if (found < 0) return 0;
    hid_t type = H5Aget_type(found), space = H5Aget_space(found);
    int ok = H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1
                 ? H5Aread(found, H5T_NATIVE_INT64, value) >= 0 ||
                       report_hdf5(err, LOPT_EARG, f, attribute, "cannot be read")
                 : mt_error(err, LOPT_EARG, "%s: attribute %s of %s is not an integer", f->path, attribute, object);
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(found);
    return ok;
}

/* ---- files that are not ours ----------------------------------------------------------------- */

static void read_attribute(const mt_hdf5 *f, const char *object, const char *attribute) {
    int64_t value;
    free(mt_hdf5_attribute_text(f, object, attribute, NULL));
    mt_hdf5_attribute_integer(f, object, attribute, &value, NULL);
}

static void read_object(const mt_hdf5 *f, const char *name, const H5O_info_t *info) {
    char attribute[MT_HDF5_NAME];
    for (hsize_t i = 0; i < info->num_attrs; i++) {
        ssize_t n =
            H5Aget_name_by_idx(f->file, name, H5_INDEX_NAME, H5_ITER_INC, i, attribute, sizeof attribute, H5P_DEFAULT);
        if (n > 0 && n < (ssize_t)sizeof attribute) read_attribute(f, name, attribute);
    }
    if (info->type != H5O_TYPE_DATASET) return;
    mt_hdf5_shape shape;
    free(mt_hdf5_read_text(f, name, NULL));
    void *data = mt_hdf5_shape_of(f, name, &shape, NULL) ? malloc((size_t)shape.n * item_bytes(shape.type) + 1) : NULL;
    if (data) mt_hdf5_read(f, name, shape.type, (size_t)shape.n, data, NULL);
    free(data);
}

static herr_t visit(hid_t root, const char *name, const H5O_info_t *info, void *f) {
    (void)root;
    read_object(f, strcmp(name, ".") == 0 ? "/" : name, info);
    return 0;
}

static void read_everything(const char *path) {
    mt_hdf5 *f = open_hdf5(path, NULL);
    if (f) H5Ovisit2(f->file, H5_INDEX_NAME, H5_ITER_INC, visit, f, H5O_INFO_BASIC | H5O_INFO_NUM_ATTRS);
    mt_hdf5_close(f);
}

/* HDF5 1.10 crashes on some damaged files. One that does not carry our seal is first read by a
 * child process, whose end tells. */
static int survives_probe(const char *path, lopt_error *err) {
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return mt_error(err, LOPT_ENOMEM, "%s: cannot start a process to read it: %s", path, strerror(errno));
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
        signal(SIGALRM, SIG_DFL);
        alarm(PROBE_SECONDS);
        read_everything(path);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 1;
    return mt_error(err, LOPT_EARG, "%s: damaged: HDF5 cannot read it", path);
}
