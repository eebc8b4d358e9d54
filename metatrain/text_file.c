/* SPDX-License-Identifier: Apache-2.0 */
#include "text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

char *mt_text_read_stream(FILE *f, const char *path, size_t max_bytes, size_t *n, lopt_error *err) {
    size_t capacity = 4096, used = 0, got;
    char *text = malloc(capacity + 1);
    while (text != NULL && (got = fread(text + used, 1, capacity - used, f)) > 0) {
        used += got;
        if (used > max_bytes) {
            free(text);
            mt_error(err, LOPT_EARG, "%s: larger than the %zu bytes allowed", path, max_bytes);
            return NULL;
        }
        if (used == capacity) {
            char *larger = realloc(text, 2 * capacity + 1);
            if (larger == NULL) free(text);
            text = larger;
            capacity *= 2;
        }
    }
    if (text == NULL) {
        mt_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    } else if (ferror(f)) {
        mt_error(err, LOPT_EIO, "%s: cannot be read: %s", path, strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[used] = '\0';
        if (n != NULL) *n = used;
    }
    return text;
}

char *mt_text_read(const char *path, size_t max_bytes, size_t *n, lopt_error *err) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        mt_error(err, LOPT_EARG, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    char *text = mt_text_read_stream(f, path, max_bytes, n, err);
    fclose(f);
    return text;
}
