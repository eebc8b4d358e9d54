/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: any bytes as a table of comma-separated numbers; the first says which column is labels. */
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    char *text = malloc(size); /* exactly as long as it is, so that a read beyond is seen */
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    static task_raw raw;
    lopt_error err = {LOPT_OK, ""};
    strcpy(raw.path, "fuzz");
    int ok = task_csv_parse(text, size - 1, data[0] % 8 - 1, &raw, &err);
    for (size_t i = 0; ok && i < raw.n; i++)
        if (raw.labels[i] < 0 || raw.labels[i] >= raw.n_classes) abort();
    if (!ok && strncmp(err.text, "fuzz:", 5) != 0) abort(); /* a refusal is a sentence that names the file */
    task_raw_free(&raw);
    free(text);
    return 0;
}
