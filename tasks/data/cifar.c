/* SPDX-License-Identifier: Apache-2.0
 *
 * cifar.c - see cifar.h. */
#include "data/cifar.h"

#include "base/task_error.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, CHANNELS = 3, IMAGE = CHANNELS * PLANE };

int task_cifar_parse(const unsigned char *bytes, size_t n_bytes, int n_label_bytes, task_raw *raw, lopt_error *err) {
    size_t record = (size_t)n_label_bytes + IMAGE, n = n_bytes / record;
    if (n_bytes % record != 0 || n == 0) {
        return task_set_error(err, LOPT_EARG,
                              "%s: truncated, or not a CIFAR file: %zu bytes are not a whole number of "
                              "records of %zu",
                              raw->path, n_bytes, record);
    }
    raw->rows = raw->cols = SIDE;
    raw->channels = CHANNELS;
    if (!task_raw_reserve(raw, raw->n + n, 0, err)) return 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *from = bytes + i * record;
        unsigned char *to = raw->bytes + (raw->n + i) * IMAGE;
        raw->labels[raw->n + i] = from[n_label_bytes - 1];
        for (int k = 0; k < IMAGE; k++) to[k] = from[n_label_bytes + k % CHANNELS * PLANE + k / CHANNELS];
    }
    raw->n += n;
    raw->n_labels = raw->n;
    return 1;
}
