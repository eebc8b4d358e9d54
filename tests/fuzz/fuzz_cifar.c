/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: any bytes as a file of CIFAR-10 and of CIFAR-100, twice into one set. */
#include <stdlib.h>
#include <string.h>

#include "data/cifar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static task_raw raw;
    for (int n_labels = 1; n_labels <= 2; n_labels++) {
        lopt_error err = {LOPT_OK, ""};
        strcpy(raw.path, "fuzz");
        int ok =
            task_cifar_parse(data, size, n_labels, &raw, &err) && task_cifar_parse(data, size, n_labels, &raw, &err);
        if (ok ? raw.n != 2 * (size / (3072 + (size_t)n_labels)) : strncmp(err.text, "fuzz:", 5) != 0) abort();
        task_raw_free(&raw);
    }
    return 0;
}
