/* SPDX-License-Identifier: Apache-2.0
 *
 * image.c - see image.h. PNG is read by libpng. */
#include "data/image.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"

static int allocate_image(const char *path, size_t rows, size_t cols, int channels, task_image *image,
                          lopt_error *err) {
    if (rows < 1 || cols < 1 || rows > TASK_IMAGE_MAX / cols) {
        task_set_error(err, LOPT_EARG, "%s: claims %zu x %zu pixels, allowed: at most %zu", path, rows, cols,
                       TASK_IMAGE_MAX);
        return 0;
    }
    *image = (task_image){.rows = (int)rows, .cols = (int)cols, .channels = channels};
    image->bytes = malloc(rows * cols * (size_t)channels);
    if (!image->bytes) {
        task_set_error(err, LOPT_ENOMEM, "%s: out of memory", path);
        return 0;
    }
    return 1;
}

static int parse_png_image(const char *path, const unsigned char *bytes, size_t n, task_image *image, lopt_error *err) {
    png_image png = {.version = PNG_IMAGE_VERSION};
    png_color black = {0, 0, 0};
    if (!png_image_begin_read_from_memory(&png, bytes, n))
        return task_set_error(err, LOPT_EARG, "%s: not a whole PNG picture: %s", path, png.message);
    int colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
    png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    int done = allocate_image(path, png.height, png.width, colour ? 3 : 1, image, err);
    if (done && !png_image_finish_read(&png, &black, image->bytes, 0, NULL)) {
        free(image->bytes);
        task_set_error(err, LOPT_EARG, "%s: not a whole PNG picture: %s", path, png.message);
        done = 0;
    }
    png_image_free(&png);
    return done;
}

/* The next number of a PPM header, past white space and comments; 0 where there is none. */
static size_t read_ppm_number(const unsigned char **p, const unsigned char *end) {
    size_t value = 0;
    while (*p < end && (strchr(" \t\r\n", **p) || **p == '#')) {
        if (**p == '#')
            while (*p < end && **p != '\n') ++*p;
        else
            ++*p;
    }
    while (*p < end && **p >= '0' && **p <= '9' && value < TASK_IMAGE_MAX) value = 10 * value + (size_t)(*(*p)++ - '0');
    return value;
}

static int parse_ppm_image(const char *path, const unsigned char *bytes, size_t n, task_image *image, lopt_error *err) {
    const unsigned char *p = bytes + 2, *end = bytes + n;
    int channels = bytes[1] == '6' ? 3 : 1;
    size_t cols = read_ppm_number(&p, end), rows = read_ppm_number(&p, end);
    size_t most = read_ppm_number(&p, end);
    if (most != 255 || p == end)
        return task_set_error(err, LOPT_EARG, "%s: not a PPM or PGM picture with values up to 255", path);
    size_t left = (size_t)(end - ++p);
    if (rows < 1 || cols < 1 || rows > left / cols / (size_t)channels) {
        return task_set_error(err, LOPT_EARG, "%s: truncated: %zu x %zu pixels in %zu bytes", path, rows, cols, left);
    }
    if (!allocate_image(path, rows, cols, channels, image, err)) return 0;
    memcpy(image->bytes, p, rows * cols * (size_t)channels);
    return 1;
}

int task_image_parse(const char *path, const unsigned char *bytes, size_t n, task_image *image, lopt_error *err) {
    static const unsigned char png[4] = {0x89, 'P', 'N', 'G'};
    *image = (task_image){0};
    if (n > 4 && memcmp(bytes, png, 4) == 0) return parse_png_image(path, bytes, n, image, err);
    if (n > 4 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6'))
        return parse_ppm_image(path, bytes, n, image, err);
    return task_set_error(err, LOPT_EARG, "%s: not a PNG, PPM (P6) or PGM (P5) picture", path);
}

/* Row y of tile i. */
static const unsigned char *tile_row_of_sheet(const task_image *sheet, const task_raw *raw, size_t i, int y) {
    size_t across = (size_t)(sheet->cols / raw->cols);
    size_t row = i / across * (size_t)raw->rows + (size_t)y, col = i % across * (size_t)raw->cols;
    return sheet->bytes + (row * (size_t)sheet->cols + col) * (size_t)sheet->channels;
}

static int cut_sheet_tiles(const task_image *sheet, int n_classes, task_raw *raw, lopt_error *err) {
    size_t n = (size_t)(sheet->rows / raw->rows) * (size_t)(sheet->cols / raw->cols);
    size_t width = (size_t)raw->cols * (size_t)sheet->channels;
    if (sheet->rows % raw->rows || sheet->cols % raw->cols || n % (size_t)n_classes) {
        return task_set_error(err, LOPT_EARG,
                              "%s: %d x %d pixels are not tiles of %d x %d, as many of each of %d "
                              "classes",
                              raw->path, sheet->rows, sheet->cols, raw->rows, raw->cols, n_classes);
    }
    raw->channels = sheet->channels;
    if (!task_raw_reserve(raw, n, 0, err)) return 0;
    for (size_t i = 0; i < n; i++) {
        raw->labels[i] = (int32_t)(i * (size_t)n_classes / n);
        for (int y = 0; y < raw->rows; y++)
            memcpy(raw->bytes + (i * (size_t)raw->rows + (size_t)y) * width, tile_row_of_sheet(sheet, raw, i, y),
                   width);
    }
    raw->n = raw->n_labels = n;
    return 1;
}

int task_sheet_parse(const unsigned char *bytes, size_t n, int tile_rows, int tile_cols, int n_classes, task_raw *raw,
                     lopt_error *err) {
    task_image sheet;
    if (!task_image_parse(raw->path, bytes, n, &sheet, err)) return 0;
    raw->rows = tile_rows;
    raw->cols = tile_cols;
    raw->n_classes = n_classes;
    int done = cut_sheet_tiles(&sheet, n_classes, raw, err);
    free(sheet.bytes);
    return done;
}
