/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors.c - see formats/safetensors.h. */
#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/error.h"

enum { LENGTH_BYTES = 8, HEADER_BYTES = 16 << 20, KEY_BYTES = 300, VALUE_BYTES = 256 };
#define METADATA "__metadata__"

/* ---- reading --------------------------------------------------------------------------------- */

/* Where an array's data lie among all data. */
typedef struct span {
    uint64_t begin, end;
    const char *name;
} span;

static json_t *read_header(const char *file, const unsigned char *bytes, size_t n, size_t *data_at, lopt_error *err) {
    uint64_t length = 0;
    json_error_t why;
    if (n < LENGTH_BYTES) {
        mt_error(err, LOPT_EARG, "%s: is not safetensors: %zu bytes, expected at least %d", file, n, LENGTH_BYTES);
        return NULL;
    }
    for (int i = 0; i < LENGTH_BYTES; i++) length |= (uint64_t)bytes[i] << 8 * i;
    if (length > n - LENGTH_BYTES || length > HEADER_BYTES) {
        mt_error(err, LOPT_EARG,
                 "%s: is not safetensors: its first 8 bytes claim a header of %llu bytes, the file "
                 "has %zu (allowed: %d)",
                 file, (unsigned long long)length, n, HEADER_BYTES);
        return NULL;
    }
    *data_at = LENGTH_BYTES + (size_t)length;
    json_t *header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(header)) return header;
    if (header)
        mt_error(err, LOPT_EARG, "%s: its safetensors header is not a JSON object", file);
    else
        mt_error(err, LOPT_EARG, "%s: its safetensors header is not JSON: %.200s (character %d)", file, why.text,
                 why.position);
    json_decref(header);
    return NULL;
}

static int report_wrong_header(lopt_error *err, const char *file, const char *name, const char *what) {
    return mt_error(err, LOPT_EARG, "%s: header entry \"%.120s\": %s", file, name, what);
}

static int read_tensor_shape(const char *file, const char *name, const json_t *shape, mt_array *a, lopt_error *err) {
    if (!json_is_array(shape) || json_array_size(shape) > MT_ARRAY_RANK)
        return report_wrong_header(err, file, name, "shape is not a list of at most 8 sizes");
    a->rank = (int)json_array_size(shape);
    for (int i = 0; i < a->rank; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return report_wrong_header(err, file, name, "shape holds something else than sizes of 0 or more");
        a->dim[i] = json_integer_value(size);
    }
    return 1;
}

static int read_span(const char *file, const char *name, const json_t *offsets, size_t data_bytes, span *s,
                     lopt_error *err) {
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return report_wrong_header(err, file, name, "data_offsets is not a list of two integers");
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > data_bytes)
        return mt_error(err, LOPT_EARG,
                        "%s: header entry \"%.120s\": data_offsets %lld to %lld, expected to lie in "
                        "the %zu bytes of data",
                        file, name, (long long)from, (long long)to, data_bytes);
    *s = (span){(uint64_t)from, (uint64_t)to, name};
    return 1;
}

static int read_entry(mt_arrays *arrays, const char *file, const char *name, const json_t *entry,
                      const unsigned char *data, size_t data_bytes, span *s, lopt_error *err) {
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    mt_array a = {.file = file, .name = name};
    if (strlen(name) >= MT_ARRAY_NAME) return report_wrong_header(err, file, name, "the name is too long");
    a.dtype = dtype ? mt_dtype_find(dtype, strlen(dtype)) : NULL;
    if (!a.dtype || !a.dtype->safetensors || strcmp(a.dtype->safetensors, dtype) != 0)
        return mt_error(err, LOPT_EARG,
                        "%s: header entry \"%.120s\": dtype is \"%.20s\", expected F32, F64, F16, BF16 "
                        "or another of safetensors",
                        file, name, dtype ? dtype : "(missing)");
    if (!read_tensor_shape(file, name, json_object_get(entry, "shape"), &a, err) ||
        !read_span(file, name, json_object_get(entry, "data_offsets"), data_bytes, s, err))
        return 0;
    a.data = data + s->begin;
    return mt_arrays_add(arrays, &a, (size_t)(s->end - s->begin), err);
}

static int by_begin(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int check_tiling(const char *file, span *spans, size_t n, size_t data_bytes, lopt_error *err) {
    uint64_t at = 0;
    if (n) qsort(spans, n, sizeof *spans, by_begin);
    for (size_t i = 0; i < n; at = spans[i++].end)
        if (spans[i].begin != at)
            return mt_error(err, LOPT_EARG,
                            "%s: header entry \"%.120s\": its data begin at %llu, expected %llu: arrays "
                            "must follow each other without %s",
                            file, spans[i].name, (unsigned long long)spans[i].begin, (unsigned long long)at,
                            spans[i].begin < at ? "overlap" : "gap");
    if (at != data_bytes)
        return mt_error(err, LOPT_EARG, "%s: %zu bytes of data, expected the %llu of its header", file, data_bytes,
                        (unsigned long long)at);
    return 1;
}

static int check_metadata(const char *file, json_t *metadata, lopt_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return report_wrong_header(err, file, METADATA, "is not an object");
    json_object_foreach(metadata, key, value) if (!json_is_string(value)) return mt_error(
        err, LOPT_EARG, "%s: header entry \"" METADATA "\": \"%.120s\" is not a text", file, key);
    return 1;
}

static int read_entries(mt_arrays *arrays, const char *file, json_t *header, const unsigned char *data,
                        size_t data_bytes, lopt_error *err) {
    const char *name;
    json_t *entry;
    size_t n = 0;
    span *spans = malloc((json_object_size(header) + 1) * sizeof *spans);
    int ok = spans ? 1 : mt_error(err, LOPT_ENOMEM, "%s: out of memory", file);
    json_object_foreach(header, name, entry) {
        if (!ok) break;
        if (strcmp(name, METADATA) == 0)
            ok = check_metadata(file, entry, err);
        else
            ok = read_entry(arrays, file, name, entry, data, data_bytes, &spans[n++], err);
    }
    ok = ok && check_tiling(file, spans, n, data_bytes, err);
    free(spans);
    return ok;
}

int mt_safetensors_parse(mt_arrays *arrays, const char *file, const unsigned char *bytes, size_t n, json_t **metadata,
                         lopt_error *err) {
    size_t data_at;
    json_t *header = read_header(file, bytes, n, &data_at, err);
    if (!header) return 0;
    int ok = read_entries(arrays, file, header, bytes + data_at, n - data_at, err);
    if (ok && metadata) {
        json_t *found = json_object_get(header, METADATA);
        *metadata = found ? json_incref(found) : json_object();
    }
    json_decref(header);
    return ok;
}

int mt_safetensors_read(mt_arrays *arrays, const char *path, json_t **metadata, lopt_error *err) {
    size_t n;
    const unsigned char *bytes = mt_arrays_read(arrays, path, &n, err);
    return bytes && mt_safetensors_parse(arrays, path, bytes, n, metadata, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *describe_tensor(const mt_array *a, size_t *offset) {
    json_t *shape = json_array();
    size_t end = *offset + a->n * (size_t)a->dtype->bytes;
    for (int i = 0; i < a->rank; i++) json_array_append_new(shape, json_integer((json_int_t)a->dim[i]));
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", a->dtype->safetensors, "shape", shape, "data_offsets",
                              (json_int_t)*offset, (json_int_t)end);
    *offset = end;
    return entry;
}

static char *header_text(const mt_arrays *arrays, json_t *metadata, size_t *data_bytes) {
    json_t *header = json_object();
    *data_bytes = 0;
    json_object_set(header, METADATA, metadata);
    for (size_t i = 0; i < arrays->n; i++)
        json_object_set_new(header, arrays->list[i].name, describe_tensor(&arrays->list[i], data_bytes));
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

int mt_safetensors_write(const char *path, const mt_arrays *arrays, json_t *metadata, lopt_error *err) {
    size_t data_bytes;
    char *header = header_text(arrays, metadata, &data_bytes);
    size_t n = header ? strlen(header) : 0, padded = (n + 7) / 8 * 8;
    char *bytes = header ? malloc(LENGTH_BYTES + padded + data_bytes) : NULL;
    int ok = bytes ? 1 : mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    if (ok) {
        for (int i = 0; i < LENGTH_BYTES; i++) bytes[i] = (char)(padded >> 8 * i & 0xff);
        memset(bytes + LENGTH_BYTES, ' ', padded);
        memcpy(bytes + LENGTH_BYTES, header, n); /* NOLINT(bugprone-not-null-terminated-result) */
        char *data = bytes + LENGTH_BYTES + padded;
        for (size_t i = 0; i < arrays->n; i++) {
            const mt_array *a = &arrays->list[i];
            size_t a_bytes = a->n * (size_t)a->dtype->bytes;
            memcpy(data, a->data, a_bytes);
            data += a_bytes;
        }
        ok = mt_write_atomically(path, bytes, LENGTH_BYTES + padded + data_bytes, err);
    }
    free(bytes);
    free(header);
    return ok;
}

/* ---- a file of ours -------------------------------------------------------------------------- */

void mt_add_provenance(json_t *metadata, const mt_theta_file *theta) {
    char key[KEY_BYTES];
    for (int i = 0; i < theta->n_notes; i++) {
        snprintf(key, sizeof key, "provenance.%s", theta->note_name[i]);
        json_object_set_new(metadata, key, json_string(theta->note_value[i]));
    }
}

static json_t *metadata_of_file(const mt_theta_file *theta) {
    const char *preset = lopt_info(theta->optimizer)->name;
    json_t *metadata = json_pack("{s:s, s:s}", "format", MT_SAFETENSORS_FORMAT, "optimizer", preset);
    lopt_hyper_info hyper;
    for (size_t i = 0; lopt_hyper(preset, i, &hyper); i++) {
        char key[KEY_BYTES], value[VALUE_BYTES];
        snprintf(key, sizeof key, "settings.%s", hyper.name);
        lopt_get(theta->optimizer, hyper.name, value, sizeof value);
        json_object_set_new(metadata, key, json_string(value));
    }
    mt_add_provenance(metadata, theta);
    return metadata;
}

int mt_safetensors_export(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err) {
    mt_arrays *arrays = mt_arrays_create(path, err);
    if (!arrays) return 0;
    json_t *metadata = metadata_of_file(theta);
    int ok = mt_arrays_from_theta(arrays, &mt_places_safetensors, theta->optimizer, err) &&
             mt_safetensors_write(path, arrays, metadata, err);
    json_decref(metadata);
    mt_arrays_free(arrays);
    if (ok) fprintf(notes, "%s: %zu blocks of theta, settings and provenance\n", path, lopt_n_blocks(theta->optimizer));
    return ok;
}
