/* SPDX-License-Identifier: Apache-2.0
 *
 * npy.c - see npy.h. The header is a line of text, a Python dictionary with three keys. */
#include "data/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

enum { MAX_HEADER = 4096 };

static int report_npy_error(const char *path, const char *what, lopt_error *err) {
    return task_set_error(err, LOPT_EARG, "%s: not an array of NumPy's .npy format: %s", path, what);
}

/* The text after 'KEY': in the header, or NULL. */
static const char *find_header_value(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

/* '<f4' and the like. */
static int read_npy_type(const char *text, task_npy *a) {
    if (!text || (*text != '\'' && *text != '"')) return 0;
    const char *order = text + 1;
    if (!*order || !strchr("<|=", *order) || !order[1] || !strchr("uifb", order[1])) return 0;
    a->type = order[1];
    a->item_bytes = order[2] - '0';
    int known = a->item_bytes == 1 || a->item_bytes == 2 || a->item_bytes == 4 || a->item_bytes == 8;
    if (a->type == 'b') known = a->item_bytes == 1;
    if (a->type == 'f') known = a->item_bytes == 4 || a->item_bytes == 8;
    return known && order[3] == *text;
}

/* "(60000, 28, 28)": dim, and n while it stays at most `most`. */
static int read_npy_shape(const char *text, size_t most, task_npy *a) {
    if (!text || *text++ != '(') return 0;
    a->n = 1;
    while (*(text += strspn(text, " ,")) != ')') {
        char *end;
        unsigned long long d = strtoull(text, &end, 10);
        if (end == text || *text == '-' || *text == '+' || a->rank == TASK_NPY_RANK) return 0;
        if (d < 1 || d > most / a->n) return 0;
        a->dim[a->rank++] = (size_t)d;
        a->n *= (size_t)d;
        text = end;
    }
    return a->rank > 0;
}

int task_npy_parse(const char *path, const unsigned char *bytes, size_t n, task_npy *array, lopt_error *err) {
    char header[MAX_HEADER];
    *array = (task_npy){0};
    if (n < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0) return report_npy_error(path, "it begins otherwise", err);
    size_t begin = bytes[6] == 1 ? 10 : 12, length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length >= MAX_HEADER || length > n - begin) return report_npy_error(path, "its header is too long or cut", err);
    memcpy(header, bytes + begin, length);
    header[length] = 0;
    const char *order = find_header_value(header, "'fortran_order'");
    if (!read_npy_type(find_header_value(header, "'descr'"), array))
        return report_npy_error(path, "elements are not little-endian integers or floats", err);
    if (!order || strncmp(order, "False", 5) != 0) return report_npy_error(path, "not in C order", err);
    size_t room = n - begin - length;
    if (!read_npy_shape(find_header_value(header, "'shape'"), room / (size_t)array->item_bytes, array))
        return report_npy_error(path, "a shape that the file cannot hold", err);
    if (array->n * (size_t)array->item_bytes != room)
        return report_npy_error(path, "more data than its shape says", err);
    array->data = bytes + begin + length;
    return 1;
}

double task_npy_number(const task_npy *a, size_t i) {
    const unsigned char *p = a->data + i * (size_t)a->item_bytes;
    uint64_t word = 0;
    for (int k = a->item_bytes - 1; k >= 0; k--) word = word << 8 | p[k];
    if (a->type == 'f' && a->item_bytes == 4) {
        float value;
        uint32_t half = (uint32_t)word;
        memcpy(&value, &half, sizeof value);
        return (double)value;
    }
    if (a->type == 'f') {
        double value;
        memcpy(&value, &word, sizeof value);
        return value;
    }
    if (a->type != 'i') return (double)word;
    int unused = 64 - 8 * a->item_bytes;
    return (double)((int64_t)(word << unused) >> unused);
}

static int read_npy_numbers(const task_npy *images, task_raw *raw, lopt_error *err) {
    for (size_t i = 0; i < images->n; i++) {
        double value = task_npy_number(images, i);
        if (!(fabs(value) < 1e30)) return task_set_error(err, LOPT_EARG, "%s: number %zu is %g", raw->path, i, value);
        raw->numbers[i] = (float)value;
    }
    return 1;
}

static int read_npy_labels(const task_npy *labels, task_raw *raw, lopt_error *err) {
    for (size_t i = 0; i < labels->n; i++) {
        double value = task_npy_number(labels, i);
        if (!(value >= 0 && value < 65536 && value == floor(value))) {
            return task_set_error(err, LOPT_EARG, "%s: label %zu is %g, allowed: 0 to 65535", raw->labels_path, i,
                                  value);
        }
        raw->labels[i] = (int32_t)value;
    }
    return 1;
}

int task_npy_examples(const task_npy *images, const task_npy *labels, task_raw *raw, lopt_error *err) {
    int table = images->rank == 2;
    const size_t *dim = images->dim;
    if (images->rank < 2 || images->rank > 4 || (!table && (images->type != 'u' || images->item_bytes != 1))) {
        return task_set_error(err, LOPT_EARG,
                              "%s: found an array of %d axes and type %c%d, expected images [n, H, W] or "
                              "[n, H, W, C] of u1, or a table [n, d]",
                              raw->path, images->rank, images->type, images->item_bytes);
    }
    if (labels->rank != 1 || labels->n != dim[0]) {
        return task_set_error(err, LOPT_EARG, "%s: found %zu labels on %d axes, expected %zu on one", raw->labels_path,
                              labels->n, labels->rank, dim[0]);
    }
    for (int i = 1; i < images->rank; i++)
        if (dim[i] > 65536) return task_set_error(err, LOPT_EARG, "%s: axis %d is %zu long", raw->path, i, dim[i]);
    raw->rows = table ? 1 : (int)dim[1];
    raw->cols = (int)dim[table ? 1 : 2];
    raw->channels = images->rank == 4 ? (int)dim[3] : 1;
    if (!task_raw_reserve(raw, dim[0], table, err)) return 0;
    if (!table) memcpy(raw->bytes, images->data, images->n);
    raw->n = raw->n_labels = dim[0];
    return (!table || read_npy_numbers(images, raw, err)) && read_npy_labels(labels, raw, err);
}
