/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_map.h - named arrays of numbers as other programs store them, and theta from and to them.
 *
 *     mt_arrays *arrays = mt_arrays_create(path, &err);
 *     mt_safetensors_read(arrays, path, NULL, &err);     or mt_flax_read: adds what the file holds
 *     mt_arrays_to_theta(arrays, &mt_places_pylo, opt, stdout, &err);
 *     mt_arrays_free(arrays);
 *
 * A reader adds arrays that point into the file's bytes, which the list owns; nothing is converted
 * before it is asked for. Numbers are float32, float64 (rounded to float32, which is said),
 * float16 or bfloat16 (both exact); theta of other types, or not finite, is refused.
 *
 * Errors   0 or NULL and a sentence that starts with the file's path. */
#ifndef MT_ARRAYS_H
#define MT_ARRAYS_H

#include <stdio.h>

#include "formats/weight_names.h"
#include "lopt.h"

enum { MT_ARRAY_RANK = 8, MT_ARRAY_NAME = 256, MT_ARRAYS_MAX = 1 << 16 };
#define MT_ARRAYS_FILE_BYTES ((size_t)1 << 30) /* larger files are refused */

typedef struct mt_dtype {
    const char *safetensors, *numpy; /* either may be NULL */
    int bytes;                       /* 0: not an array of numbers */
} mt_dtype;

/* By a name of either kind; NULL if there is none. */
const mt_dtype *mt_dtype_find(const char *name, size_t n);
extern const mt_dtype *const mt_float32, *const mt_float64;
extern const mt_dtype *const mt_no_numbers; /* a leaf that is a text, a truth value, nothing */

typedef struct mt_array {
    const char *file; /* it came from */
    const char *name;
    const mt_dtype *dtype;
    int rank;
    int64_t dim[MT_ARRAY_RANK];
    size_t n;                  /* product of dim */
    const unsigned char *data; /* n * dtype->bytes, little-endian, unaligned */
    float *numbers;            /* data as float32, once it was asked for */
} mt_array;

typedef struct mt_arrays {
    const char *source; /* for sentences about the whole: one path, or "A, B" */
    size_t n, capacity, n_owned, owned_capacity;
    mt_array *list;
    void **owned;
} mt_arrays;

mt_arrays *mt_arrays_create(const char *source, lopt_error *err);
void mt_arrays_free(mt_arrays *arrays);

/* Keeps memory until mt_arrays_free; NULL (data is freed) if that is impossible. */
void *mt_arrays_own(mt_arrays *arrays, void *data);
/* A file whole, owned by the list. */
const unsigned char *mt_arrays_read(mt_arrays *arrays, const char *path, size_t *n, lopt_error *err);
/* Adds *array (name and file are copied) after checking that its shape fills `bytes` of data. */
int mt_arrays_add(mt_arrays *arrays, const mt_array *array, size_t bytes, lopt_error *err);
/* After the last: refuses two arrays of one name. */
int mt_arrays_finish(mt_arrays *arrays, lopt_error *err);
mt_array *mt_arrays_find(const mt_arrays *arrays, const char *name); /* NULL if absent */

/* Sets opt's theta. Every block that the format holds must be there in its shape, and no array may
 * be left over; blocks that the format does not hold get their initial values (of the settings),
 * which is said in `notes`. opt is unchanged on failure. */
int mt_arrays_to_theta(mt_arrays *arrays, const mt_places *places, lopt_optimizer *opt, FILE *notes, lopt_error *err);
/* Adds opt's theta in the order of its blocks: float32, aligned. */
int mt_arrays_from_theta(mt_arrays *arrays, const mt_places *places, const lopt_optimizer *opt, lopt_error *err);

#endif
