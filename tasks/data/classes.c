/* SPDX-License-Identifier: Apache-2.0
 *
 * classes.c - see classes.h. */
#include "data/classes.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"
#include "data/resize.h"

enum { MAX_CLASSES = 65536 };

/* ---- one picture ----------------------------------------------------------------------------- */

static int resize_picture(const task_image *image, int size, unsigned char *out, lopt_error *err) {
    size_t n = (size_t)size * (size_t)size * (size_t)image->channels;
    task_tap *rows = malloc((size_t)size * sizeof *rows);
    task_tap *cols = malloc((size_t)size * sizeof *cols);
    real *pixels = malloc(n * sizeof *pixels);
    int made = rows && cols && pixels;
    if (made) {
        task_resize_taps(image->rows, size, rows);
        task_resize_taps(image->cols, size, cols);
        task_resize_image(image->bytes, image->cols, image->channels, rows, size, cols, size, pixels);
        for (size_t i = 0; i < n; i++) out[i] = (unsigned char)((double)pixels[i] * 255 + 1e-3);
    }
    free(rows);
    free(cols);
    free(pixels);
    return made ? 1 : task_set_error(err, LOPT_ENOMEM, "out of memory");
}

/* Grey pictures get three channels: from the last byte on, so that it happens in place. */
static void widen_grey_pixels(unsigned char *bytes, size_t n) {
    for (size_t i = n; i-- > 0;) bytes[3 * i] = bytes[3 * i + 1] = bytes[3 * i + 2] = bytes[i];
}

/* Room for one more example, after the others were widened if this one is in colour. */
static int make_example_room(task_raw *raw, size_t *room, int channels, lopt_error *err) {
    int wider = raw->n > 0 && raw->channels == 1 && channels == 3;
    if (raw->n == 0 || wider) raw->channels = channels;
    if (raw->n < *room && !wider) return 1;
    if (raw->n == *room) *room = *room ? *room * 2 : 64;
    if (!task_raw_reserve(raw, *room, 0, err)) return 0;
    if (wider) widen_grey_pixels(raw->bytes, raw->n * (size_t)raw->rows * (size_t)raw->cols);
    return 1;
}

int task_classes_add(task_raw *raw, size_t *room, const task_image *image, int size, int32_t label, lopt_error *err) {
    int rows = size ? size : image->rows, cols = size ? size : image->cols;
    if (raw->n > 0 && (rows != raw->rows || cols != raw->cols)) {
        return task_set_error(err, LOPT_EARG, "%s: %d x %d pixels, those before %d x %d: --size makes them equal",
                              raw->path, rows, cols, raw->rows, raw->cols);
    }
    raw->rows = rows;
    raw->cols = cols;
    if (!make_example_room(raw, room, image->channels, err)) return 0;
    size_t n = (size_t)rows * (size_t)cols;
    unsigned char *to = raw->bytes + raw->n * n * (size_t)raw->channels;
    if (!size)
        memcpy(to, image->bytes, n * (size_t)image->channels);
    else if (!resize_picture(image, size, to, err))
        return 0;
    if (image->channels == 1 && raw->channels == 3) widen_grey_pixels(to, n);
    raw->labels[raw->n++] = label;
    raw->n_labels = raw->n;
    return 1;
}

/* ---- folders --------------------------------------------------------------------------------- */

static int is_visible_entry(const struct dirent *d) {
    return d->d_name[0] != '.';
}

static int compare_name_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int list_sorted_folder(const char *folder, struct dirent ***list, lopt_error *err) {
    int n = scandir(folder, list, is_visible_entry, compare_name_bytes);
    if (n < 0) task_set_error(err, LOPT_EARG, "%s: cannot be read: %s", folder, strerror(errno));
    return n;
}

static void free_folder_list(struct dirent **list, int n) {
    for (int i = 0; i < n; i++) free(list[i]);
    if (n >= 0) free(list);
}

static int add_picture_file(const char *folder, const char *name, int size, int32_t label, task_raw *raw, size_t *room,
                            lopt_error *err) {
    task_image image;
    size_t n;
    if (snprintf(raw->path, TASK_PATH, "%s/%s", folder, name) >= TASK_PATH)
        return task_set_error(err, LOPT_EARG, "%.200s: its name is too long", name);
    unsigned char *bytes = task_file_bytes(raw->path, &n, err);
    int done = bytes && task_image_parse(raw->path, bytes, n, &image, err);
    free(bytes);
    if (!done) return 0;
    done = task_classes_add(raw, room, &image, size, label, err);
    free(image.bytes);
    return done;
}

static int read_class_folder(const char *folder, int size, int32_t label, task_raw *raw, size_t *room,
                             lopt_error *err) {
    struct dirent **list;
    int n = list_sorted_folder(folder, &list, err), done = n >= 0;
    for (int i = 0; done && i < n; i++) done = add_picture_file(folder, list[i]->d_name, size, label, raw, room, err);
    free_folder_list(list, n);
    return done;
}

/* The names, one a line; NULL: out of memory. */
static char *join_class_names(struct dirent *const *list, int n) {
    char *text;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return NULL;
    for (int i = 0; i < n; i++) fprintf(f, "%s\n", list[i]->d_name);
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}

static int check_class_names(const char *folder, struct dirent *const *list, int n, char **names, lopt_error *err) {
    if (n < 2 || n > MAX_CLASSES) {
        return task_set_error(err, LOPT_EARG, "%s: found %d sub-folders, expected one for each of 2 to %d classes",
                              folder, n, MAX_CLASSES);
    }
    char *found = join_class_names(list, n);
    if (!found) return task_set_error(err, LOPT_ENOMEM, "%s: out of memory", folder);
    int same = !*names || strcmp(*names, found) == 0;
    if (*names)
        free(found);
    else
        *names = found;
    return same
               ? 1
               : task_set_error(err, LOPT_EARG, "%s: its sub-folders are not the classes of the training part", folder);
}

int task_classes_read(const char *folder, int size, task_raw *raw, char **names, lopt_error *err) {
    struct dirent **list;
    char path[TASK_PATH];
    size_t room = 0;
    int n = list_sorted_folder(folder, &list, err);
    if (n < 0) return 0;
    int done = check_class_names(folder, list, n, names, err);
    for (int i = 0; done && i < n; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name) < TASK_PATH)
            done = read_class_folder(path, size, i, raw, &room, err);
        else
            done = task_set_error(err, LOPT_EARG, "%.200s: its name is too long", list[i]->d_name);
    }
    free_folder_list(list, n);
    if (done && raw->n == 0) done = task_set_error(err, LOPT_EARG, "%s: holds no pictures", folder);
    snprintf(raw->path, TASK_PATH, "%s", folder);
    raw->n_classes = n;
    return done;
}
