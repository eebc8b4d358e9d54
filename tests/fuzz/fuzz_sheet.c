/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: any bytes as a sheet of tiles, PNG or PPM; the first two say the tiles and classes. */
#include <stdlib.h>
#include <string.h>

#include "data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static task_raw raw;
    lopt_error err = {LOPT_OK, ""};
    if (size < 2) return 0;
    unsigned char *bytes = malloc(size - 2 ? size - 2 : 1); /* no longer, so that a read beyond is seen */
    memcpy(bytes, data + 2, size - 2);
    strcpy(raw.path, "fuzz");
    int side = data[0] % 20 + 1, n_classes = data[1] % 10 + 1;
    int ok = task_sheet_parse(bytes, size - 2, side, side, n_classes, &raw, &err);
    for (size_t i = 0; ok && i < raw.n; i++)
        if (raw.labels[i] < 0 || raw.labels[i] >= n_classes) abort();
    if (!ok && strncmp(err.text, "fuzz:", 5) != 0) abort();
    task_raw_free(&raw);
    free(bytes);
    return 0;
}
