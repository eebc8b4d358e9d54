/* SPDX-License-Identifier: Apache-2.0
 *
 * hdf5_file.h - the only caller of HDF5: arrays and texts by path, errors as sentences.
 *
 *     mt_hdf5 *f = mt_hdf5_create("theta.h5", &err);              built in memory
 *     mt_hdf5_put(f, "theta/w0", MT_FLOATS, 2, dim, w0, &err);    groups are made as needed
 *     mt_hdf5_put_text(f, "provenance/seed", "1", &err);
 *     mt_hdf5_save(f, &err);                                      atomic_file.h: whole or not at all
 *     mt_hdf5_close(f);
 *
 *     mt_hdf5 *f = mt_hdf5_open("theta.h5", &err);
 *     mt_hdf5_shape_of(f, "theta/w0", &shape, &err);              look before you allocate
 *     mt_hdf5_read(f, "theta/w0", MT_FLOATS, shape.n, data, &err);
 *     mt_hdf5_close(f);
 *
 * Files of ours are sealed: 512 bytes of text (an HDF5 user block, which other HDF5 programs skip) hold the
 * XXH3-128 digest of the rest, so any changed byte is noticed (mt_hdf5_check_seal). They are reproducible:
 * the same puts give the same bytes, no times are stored.
 * Reading trusts no size: a data set that claims more than the file can hold is refused. HDF5 1.10
 * crashes on some damaged files: one that does not carry our seal is first read by a child process,
 * whose end tells. Files are never locked, so that they can be read while a run goes on.
 *
 * Owner    what _create and _open return, _close frees (NULL is fine); texts returned are freed by the caller.
 * Errors   0 or NULL and a sentence that starts with the file's path: LOPT_EARG for what the file is,
 *          LOPT_EIO and LOPT_ENOMEM for what the machine could not do. */
#ifndef MT_HDF5_FILE_H
#define MT_HDF5_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "lopt.h"

/* Elements of a stored array: uint8, float32, int64, float64, all little-endian. */
typedef enum mt_item_type { MT_BYTES, MT_FLOATS, MT_INTEGERS, MT_DOUBLES } mt_item_type;

#define MT_HDF5_MAX_RANK 8
#define MT_HDF5_NAME 256

typedef struct mt_hdf5_shape {
    mt_item_type type;
    int rank; /* 0: one number */
    int64_t dim[MT_HDF5_MAX_RANK];
    int64_t n; /* product of dim */
} mt_hdf5_shape;

typedef struct mt_hdf5 mt_hdf5;

mt_hdf5 *mt_hdf5_create(const char *path, lopt_error *err);
int mt_hdf5_put(mt_hdf5 *f, const char *name, mt_item_type type, int rank, const int64_t *dim, const void *data,
                lopt_error *err);
int mt_hdf5_put_text(mt_hdf5 *f, const char *name, const char *text, lopt_error *err);
int mt_hdf5_put_attribute(mt_hdf5 *f, const char *name, const char *text, lopt_error *err); /* of the root */
int mt_hdf5_save(mt_hdf5 *f, lopt_error *err);                                              /* once, last; then close */

mt_hdf5 *mt_hdf5_open(const char *path, lopt_error *err);
int mt_hdf5_check_seal(const mt_hdf5 *f, lopt_error *err);
int mt_hdf5_has(const mt_hdf5 *f, const char *name); /* every group on the way there and itself */
/* Name of link i of a group in order of names, i = 0, 1, ...; 0 past the last. Longer names than
 * MT_HDF5_NAME - 1 end the list. */
int mt_hdf5_name(const mt_hdf5 *f, const char *group, int64_t i, char name[MT_HDF5_NAME]);
/* Shape of an array of one of the four types; other types and absurd sizes are errors. */
int mt_hdf5_shape_of(const mt_hdf5 *f, const char *name, mt_hdf5_shape *shape, lopt_error *err);
/* data[n]; the stored type must be `type`, the stored count n. */
int mt_hdf5_read(const mt_hdf5 *f, const char *name, mt_item_type type, size_t n, void *data, lopt_error *err);
/* A text: a string, or an array of bytes. */
char *mt_hdf5_read_text(const mt_hdf5 *f, const char *name, lopt_error *err);
/* Attributes of an object ("/" is the root). */
int mt_hdf5_has_attribute(const mt_hdf5 *f, const char *object, const char *attribute);
char *mt_hdf5_attribute_text(const mt_hdf5 *f, const char *object, const char *attribute, lopt_error *err);
int mt_hdf5_attribute_integer(const mt_hdf5 *f, const char *object, const char *attribute, int64_t *value,
                              lopt_error *err);
void mt_hdf5_close(mt_hdf5 *f);

#endif
