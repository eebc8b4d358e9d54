/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor_map.c - see tensor_map.h. */
#include "formats/tensor_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/read_file.h"
#include "store/theta_file.h"

/* ---- types of numbers ------------------------------------------------------------------------ */

enum { F32, F64, F16, BF16 };

static const mt_dtype dtypes[] = {
    [F32] = {"F32", "float32", 4}, [F64] = {"F64", "float64", 8},
    [F16] = {"F16", "float16", 2}, [BF16] = {"BF16", "bfloat16", 2},
    {"I64", "int64", 8},           {"I32", "int32", 4},
    {"I16", "int16", 2},           {"I8", "int8", 1},
    {"U64", "uint64", 8},          {"U32", "uint32", 4},
    {"U16", "uint16", 2},          {"U8", "uint8", 1},
    {"BOOL", "bool", 1},           {"F8_E4M3", "float8_e4m3fn", 1},
    {"F8_E5M2", "float8_e5m2", 1}, {"C64", "complex64", 8},
    {NULL, "complex128", 16},
};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

const mt_dtype *const mt_float32 = &dtypes[F32], *const mt_float64 = &dtypes[F64];
static const mt_dtype no_numbers = {NULL, "no array of numbers", 0};
const mt_dtype *const mt_no_numbers = &no_numbers;

const mt_dtype *mt_dtype_find(const char *name, size_t n) {
    for (int i = 0; i < N_DTYPES; i++) {
        const char *known[] = {dtypes[i].safetensors, dtypes[i].numpy};
        for (int k = 0; k < 2; k++)
            if (known[k] && strlen(known[k]) == n && memcmp(known[k], name, n) == 0) return &dtypes[i];
    }
    return NULL;
}

/* IEEE half precision: 1 sign, 5 exponent, 10 fraction bits. */
static float from_half(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float x = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                             : ldexpf((float)fraction, -24);
    return bits >> 15 ? -x : x;
}

static float from_bfloat(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

/* Number i as float; *rounded counts those that changed by it. */
static float number_at(const mt_array *a, size_t i, size_t *rounded) {
    const unsigned char *at = a->data + i * (size_t)a->dtype->bytes;
    uint16_t half;
    double wide;
    float x;
    if (a->dtype == &dtypes[F32]) {
        memcpy(&x, at, sizeof x);
        return x;
    }
    if (a->dtype == &dtypes[F64]) {
        memcpy(&wide, at, sizeof wide);
        x = (float)wide;
        *rounded += (double)x != wide;
        return x;
    }
    memcpy(&half, at, sizeof half);
    return a->dtype == &dtypes[F16] ? from_half(half) : from_bfloat(half);
}

static int is_float(const mt_dtype *d) {
    return d >= &dtypes[F32] && d <= &dtypes[BF16];
}

/* ---- the list -------------------------------------------------------------------------------- */

mt_arrays *mt_arrays_create(const char *source, lopt_error *err) {
    mt_arrays *arrays = calloc(1, sizeof *arrays);
    if (arrays && (arrays->source = mt_arrays_own(arrays, strdup(source))) != NULL) return arrays;
    mt_error(err, LOPT_ENOMEM, "%s: out of memory", source);
    mt_arrays_free(arrays);
    return NULL;
}

void mt_arrays_free(mt_arrays *arrays) {
    if (!arrays) return;
    for (size_t i = 0; i < arrays->n_owned; i++) free(arrays->owned[i]);
    free(arrays->owned);
    free(arrays->list);
    free(arrays);
}

/* Room for one more item of a list. */
static int grow_map(void **list, size_t n, size_t *capacity, size_t item_bytes) {
    if (n < *capacity) return 1;
    size_t larger = *capacity ? 2 * *capacity : 64;
    void *moved = realloc(*list, larger * item_bytes);
    if (!moved) return 0;
    *list = moved;
    *capacity = larger;
    return 1;
}

void *mt_arrays_own(mt_arrays *arrays, void *data) {
    void *list = arrays->owned;
    int ok = data && grow_map(&list, arrays->n_owned, &arrays->owned_capacity, sizeof *arrays->owned);
    arrays->owned = list;
    if (!ok) {
        free(data);
        return NULL;
    }
    arrays->owned[arrays->n_owned++] = data;
    return data;
}

const unsigned char *mt_arrays_read(mt_arrays *arrays, const char *path, size_t *n, lopt_error *err) {
    struct stat info;
    int known = stat(path, &info) == 0;
    if (known && !S_ISREG(info.st_mode)) {
        mt_error(err, LOPT_EARG, "%s: is not a file", path);
        return NULL;
    }
    if (known && (uint64_t)info.st_size > MT_ARRAYS_FILE_BYTES) {
        mt_error(err, LOPT_EARG, "%s: %lld bytes, at most %zu are read", path, (long long)info.st_size,
                 MT_ARRAYS_FILE_BYTES);
        return NULL;
    }
    char *bytes = mt_text_read(path, MT_ARRAYS_FILE_BYTES, n, err);
    if (bytes && !mt_arrays_own(arrays, bytes)) {
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
        return NULL;
    }
    return (unsigned char *)bytes;
}

/* The shape's product into a->n, which must be what `bytes` hold. */
static int check_size(mt_array *a, size_t bytes, lopt_error *err) {
    char shape[200];
    size_t item = (size_t)a->dtype->bytes;
    a->n = 1;
    mt_shape_text(a->rank, a->dim, shape, sizeof shape);
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] < 0 || (a->n > 0 && (uint64_t)a->dim[i] > SIZE_MAX / 16 / a->n))
            return mt_error(err, LOPT_EARG, "%s: %s has the impossible shape %s", a->file, a->name, shape);
        a->n *= (size_t)a->dim[i];
    }
    if (item && a->n * item != bytes)
        return mt_error(err, LOPT_EARG, "%s: %s of shape %s and type %s holds %zu bytes, expected %zu", a->file,
                        a->name, shape, a->dtype->numpy, bytes, a->n * item);
    return 1;
}

int mt_arrays_add(mt_arrays *arrays, const mt_array *array, size_t bytes, lopt_error *err) {
    mt_array a = *array;
    void *list = arrays->list;
    if (arrays->n == MT_ARRAYS_MAX)
        return mt_error(err, LOPT_EARG, "%s: holds more than %d arrays", a.file, MT_ARRAYS_MAX);
    if (!check_size(&a, bytes, err)) return 0;
    a.name = mt_arrays_own(arrays, strdup(a.name));
    a.file = mt_arrays_own(arrays, strdup(a.file));
    int ok = a.name && a.file && grow_map(&list, arrays->n, &arrays->capacity, sizeof a);
    arrays->list = list;
    if (!ok) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", array->file);
    arrays->list[arrays->n++] = a;
    return 1;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const mt_array *)a)->name, ((const mt_array *)b)->name);
}

int mt_arrays_finish(mt_arrays *arrays, lopt_error *err) {
    if (arrays->n) qsort(arrays->list, arrays->n, sizeof *arrays->list, by_name);
    for (size_t i = 1; i < arrays->n; i++)
        if (by_name(&arrays->list[i - 1], &arrays->list[i]) == 0)
            return mt_error(err, LOPT_EARG, "%s: holds %s twice", arrays->list[i].file, arrays->list[i].name);
    return 1;
}

mt_array *mt_arrays_find(const mt_arrays *arrays, const char *name) {
    mt_array wanted = {.name = name};
    return arrays->n ? bsearch(&wanted, arrays->list, arrays->n, sizeof wanted, by_name) : NULL;
}

/* ---- theta from arrays ----------------------------------------------------------------------- */

static int check_array(const mt_array *a, const mt_place *place, const lopt_optimizer *opt, lopt_error *err) {
    char found[200], expected[120];
    mt_shape_text(a->rank, a->dim, found, sizeof found);
    mt_shape_text(place->rank, place->dim, expected, sizeof expected);
    if (!is_float(a->dtype))
        return mt_error(err, LOPT_EARG, "%s: %s is %s, expected numbers of type float32, float64, float16 or bfloat16",
                        a->file, a->name, a->dtype->numpy);
    if (a->rank != place->rank || memcmp(a->dim, place->dim, (size_t)a->rank * sizeof a->dim[0]) != 0)
        return mt_error(err, LOPT_EARG, "%s: %s has shape %s, optimizer %s with these settings expects %s", a->file,
                        a->name, found, lopt_info(opt)->name, expected);
    return 1;
}

/* The array as floats. */
static const float *numbers_of(mt_arrays *arrays, mt_array *a, FILE *notes, lopt_error *err) {
    if (a->numbers) return a->numbers;
    float *x = mt_arrays_own(arrays, malloc((a->n + 1) * sizeof *x));
    size_t rounded = 0;
    if (!x) mt_error(err, LOPT_ENOMEM, "%s: out of memory", a->file);
    for (size_t i = 0; x && i < a->n; i++) {
        x[i] = number_at(a, i, &rounded);
        if (isfinite(x[i])) continue;
        mt_error(err, LOPT_EARG, "%s: %s, index %zu is %s, expected finite float32 numbers", a->file, a->name, i,
                 isnan(x[i]) ? "NaN" : "infinite");
        return NULL;
    }
    if (rounded) fprintf(notes, "%s: %zu of %zu numbers rounded from float64 to float32\n", a->name, rounded, a->n);
    return a->numbers = x;
}

static int take_block(mt_arrays *arrays, const mt_place *place, const lopt_optimizer *opt, const lopt_block *b,
                      float *theta, FILE *notes, lopt_error *err) {
    char shape[120];
    mt_array *a = mt_arrays_find(arrays, place->name);
    mt_shape_text(place->rank, place->dim, shape, sizeof shape);
    if (!a)
        return mt_error(err, LOPT_EARG, "%s: has no %s of shape %s, which optimizer %s expects", arrays->source,
                        place->name, shape, lopt_info(opt)->name);
    if (!check_array(a, place, opt, err) || !numbers_of(arrays, a, notes, err)) return 0;
    mt_place_get(place, b, a->numbers, theta);
    return 1;
}

static int check_none_left(const mt_arrays *arrays, const mt_places *places, const lopt_optimizer *opt,
                           lopt_error *err) {
    char shape[200];
    for (size_t i = 0; i < arrays->n; i++) {
        const mt_array *a = &arrays->list[i];
        if (a->numbers || (places->ignores && places->ignores(a->name))) continue;
        mt_shape_text(a->rank, a->dim, shape, sizeof shape);
        return mt_error(err, LOPT_EARG, "%s: holds %s of shape %s, which optimizer %s does not have", a->file, a->name,
                        shape, lopt_info(opt)->name);
    }
    return 1;
}

static int take_blocks(mt_arrays *arrays, const mt_places *places, const lopt_optimizer *opt, float *theta, FILE *notes,
                       lopt_error *err) {
    size_t n_taken = 0;
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        mt_place place;
        if (!places->find(opt, b, &place)) {
            fprintf(notes, "%s: not in files of format %s, initial values of the settings taken\n", b->name,
                    places->format);
            continue;
        }
        if (!take_block(arrays, &place, opt, b, theta, notes, err)) return 0;
        n_taken++;
    }
    if (n_taken == 0)
        return mt_error(err, LOPT_EARG, "%s: format %s has no place for optimizer %s", arrays->source, places->format,
                        lopt_info(opt)->name);
    return check_none_left(arrays, places, opt, err);
}

int mt_arrays_to_theta(mt_arrays *arrays, const mt_places *places, lopt_optimizer *opt, FILE *notes, lopt_error *err) {
    float *theta = malloc((lopt_n_theta(opt) + 1) * sizeof *theta);
    int ok = theta ? 1 : mt_error(err, LOPT_ENOMEM, "%s: out of memory", arrays->source);
    if (ok) lopt_init_theta(opt, 0, theta);
    ok = ok && take_blocks(arrays, places, opt, theta, notes, err);
    if (ok) lopt_set_theta(opt, theta);
    free(theta);
    return ok;
}

/* ---- theta to arrays ------------------------------------------------------------------------- */

/* The last array if it has this name (blocks that share one follow each other), else a new one. */
static float *array_at(mt_arrays *arrays, const mt_place *place, lopt_error *err) {
    const mt_array *last = arrays->n ? &arrays->list[arrays->n - 1] : NULL;
    if (last && strcmp(last->name, place->name) == 0) return last->numbers;
    size_t n = (size_t)mt_place_size(place);
    float *numbers = mt_arrays_own(arrays, calloc(n + 1, sizeof *numbers));
    if (!numbers) {
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", arrays->source);
        return NULL;
    }
    mt_array a = {.file = arrays->source,
                  .name = place->name,
                  .dtype = mt_float32,
                  .rank = place->rank,
                  .data = (unsigned char *)numbers,
                  .numbers = numbers};
    memcpy(a.dim, place->dim, sizeof place->dim);
    return mt_arrays_add(arrays, &a, n * sizeof *numbers, err) ? numbers : NULL;
}

int mt_arrays_from_theta(mt_arrays *arrays, const mt_places *places, const lopt_optimizer *opt, lopt_error *err) {
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        mt_place place;
        if (!places->find(opt, b, &place)) continue;
        float *numbers = array_at(arrays, &place, err);
        if (!numbers) return 0;
        mt_place_put(&place, b, lopt_theta(opt), numbers);
    }
    return 1;
}
