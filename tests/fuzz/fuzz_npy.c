/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: any bytes as an array of NumPy, which is both the examples and the labels of a set. */
#include <stdlib.h>
#include <string.h>

#include "data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static task_raw raw;
    task_npy array, labels;
    lopt_error err = {LOPT_OK, ""};
    strcpy(raw.path, "fuzz");
    strcpy(raw.labels_path, "fuzz");
    int ok = task_npy_parse("fuzz", data, size, &array, &err);
    if (ok) {
        labels = array;
        labels.rank = 1; /* as many labels as the first axis is long, of the array's bytes */
        labels.n = array.dim[0];
        ok = task_npy_examples(&array, &labels, &raw, &err);
    }
    if (!ok && strncmp(err.text, "fuzz:", 5) != 0) abort();
    task_raw_free(&raw);
    return 0;
}
