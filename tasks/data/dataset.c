/* SPDX-License-Identifier: Apache-2.0
 *
 * dataset.c - see dataset.h. */
#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/idx.h"
#include "data/resize.h"
#include "internal.h"
#include "layers/elementwise.h"

#define SYSTEM_FOLDER "/usr/share/datasets"
#define MIN_IMAGES 10 /* so that no split is empty */
#define MAX_SIZE 1024
#define MAX_BYTES ((size_t)16 << 30)
#define PATH_BYTES 2048

enum { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS, N_FILES };

static const char *const file_names[N_FILES] = {
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
};

/* Sets with a name. package: what installs it on Debian, NULL if nothing does. */
static const struct {
    const char *name, *folders[2], *package;
    int n_classes;
} known_sets[] = {
    {"fashion_mnist", {"fashion-mnist", "fashion_mnist"}, "dataset-fashion-mnist", 10},
    {"mnist", {"mnist", "mnist"}, NULL, 10},
};

enum { N_KNOWN = sizeof known_sets / sizeof *known_sets };

/* A set in the cache. */
typedef struct entry {
    task_dataset set; /* first, so that a set's address is its entry's */
    struct entry *next;
    int n_users, size;
    char folder[PATH_BYTES];
} entry;

/* The one variable of this folder: images are read once a process, however many tasks use them. */
static entry *cache;

/* ---- finding files --------------------------------------------------------------------------- */

static int find_file(const char *folder, int file, char path[PATH_BYTES]) {
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, PATH_BYTES, "%s/%s%s", folder, file_names[file], endings[i]);
        if (n < PATH_BYTES && access(path, F_OK) == 0) return 1;
    }
    return 0;
}

static int holds_images(const char *folder) {
    char path[PATH_BYTES];
    return find_file(folder, TRAIN_IMAGES, path);
}

/* Tries parent's sub-folders for set k, then parent itself. */
static int find_under(const char *parent, size_t parent_length, int k, char folder[PATH_BYTES]) {
    for (int i = 0; i < 2; i++) {
        snprintf(folder, PATH_BYTES, "%.*s/%s", (int)parent_length, parent,
                 known_sets[k].folders[i]);
        if (holds_images(folder)) return 1;
    }
    snprintf(folder, PATH_BYTES, "%.*s", (int)parent_length, parent);
    return holds_images(folder);
}

static int find_known(int k, const char *data_path, char folder[PATH_BYTES], lopt_error *err) {
    for (const char *p = data_path; *p;) {
        size_t length = strcspn(p, ":");
        if (length && find_under(p, length, k, folder)) return 1;
        p += length + (p[length] == ':');
    }
    snprintf(folder, PATH_BYTES, SYSTEM_FOLDER "/%s", known_sets[k].folders[0]);
    if (holds_images(folder)) return 1;
    const char *package = known_sets[k].package;
    return task_fail(
        err, LOPT_EARG, "data set %s: no file %s[.gz] in %.200s%s%s; %s%s%s", known_sets[k].name,
        file_names[TRAIN_IMAGES], data_path, *data_path ? " or " : "", folder,
        package ? "apt-get install " : "put its four files into a folder named in data.path",
        package ? package : "", package ? " or name its folder in data.path" : "");
}

/* *n_classes 0: as many as the labels say. */
static int find_set(const char *name, const char *data_path, char folder[PATH_BYTES],
                    int *n_classes, lopt_error *err) {
    for (int k = 0; k < N_KNOWN; k++) {
        if (strcmp(name, known_sets[k].name) != 0) continue;
        *n_classes = known_sets[k].n_classes;
        return find_known(k, data_path, folder, err);
    }
    *n_classes = 0;
    if (!strchr(name, '/')) {
        return task_fail(
            err, LOPT_EUNKNOWN,
            "unknown data set \"%s\", allowed: fashion_mnist, mnist or a folder (with a '/') "
            "of MNIST-format files",
            name);
    }
    snprintf(folder, PATH_BYTES, "%s", name);
    if (holds_images(folder)) return 1;
    return task_fail(err, LOPT_EARG, "data set %s: no file %s[.gz] in that folder", name,
                     file_names[TRAIN_IMAGES]);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_file(const char *folder, int file, task_idx *out, lopt_error *err) {
    char path[PATH_BYTES];
    if (!find_file(folder, file, path)) {
        return task_fail(err, LOPT_EARG, "%s: no file %s[.gz] in that folder", folder,
                         file_names[file]);
    }
    return task_idx_read(path, file == TRAIN_IMAGES || file == TEST_IMAGES ? 3 : 1, out, err);
}

static int check_labels(const char *folder, int file, const task_idx *images,
                        const task_idx *labels, int n_classes, lopt_error *err) {
    if (labels->n != images->n) {
        return task_fail(err, LOPT_EARG, "%s/%s: %zu labels for %zu images", folder,
                         file_names[file], labels->n, images->n);
    }
    for (size_t i = 0; i < labels->n; i++) {
        if (labels->bytes[i] >= n_classes) {
            return task_fail(err, LOPT_EARG, "%s/%s: label %zu is %d, allowed: 0 to %d", folder,
                             file_names[file], i, labels->bytes[i], n_classes - 1);
        }
    }
    return 1;
}

static int check_files(const char *folder, const task_idx files[N_FILES], int n_classes,
                       lopt_error *err) {
    const task_idx *train = &files[TRAIN_IMAGES], *test = &files[TEST_IMAGES];
    if (train->n < MIN_IMAGES) {
        return task_fail(err, LOPT_EARG, "%s/%s: holds %zu images, needed: %d", folder,
                         file_names[TRAIN_IMAGES], train->n, MIN_IMAGES);
    }
    if (test->rows != train->rows || test->cols != train->cols) {
        return task_fail(err, LOPT_EARG,
                         "%s/%s: images are %zu x %zu, those for training %zu x %zu", folder,
                         file_names[TEST_IMAGES], test->rows, test->cols, train->rows, train->cols);
    }
    return check_labels(folder, TRAIN_LABELS, train, &files[TRAIN_LABELS], n_classes, err) &&
           check_labels(folder, TEST_LABELS, test, &files[TEST_LABELS], n_classes, err);
}

static int largest_label(const task_idx *labels) {
    int largest = 0;
    for (size_t i = 0; i < labels->n; i++) {
        if (labels->bytes[i] > largest) largest = labels->bytes[i];
    }
    return largest;
}

/* ---- building -------------------------------------------------------------------------------- */

static void set_splits(task_dataset *d, size_t n_train_file, size_t n_test_file) {
    size_t train = n_train_file / 10 * 8 + n_train_file % 10 * 8 / 10;
    size_t inner = (n_train_file - train) / 2;
    d->count[TASK_TRAIN] = train;
    d->count[TASK_INNER_VALID] = inner;
    d->count[TASK_OUTER_VALID] = n_train_file - train - inner;
    d->count[TASK_TEST] = n_test_file;
    for (int s = 1; s < TASK_N_SPLITS; s++) d->begin[s] = d->begin[s - 1] + d->count[s - 1];
}

static void permute(size_t n, uint32_t *order) {
    random_stream r;
    random_open(&r, (random_address){0, RANDOM_SPLIT, 0, 0, 0});
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = (size_t)random_below(&r, i + 1);
        uint32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* Resizes images[order[i]] (order NULL: i) into rows begin + i of the set, and their labels.
 * pixels: [n_pixels] scratch. */
static void fill_rows(task_dataset *d, size_t begin, const task_idx *images, const task_idx *labels,
                      const uint32_t *order, const task_tap *rows, const task_tap *cols,
                      real *pixels) {
    size_t n = (size_t)d->n_pixels;
    for (size_t i = 0; i < images->n; i++) {
        size_t source = order ? order[i] : i;
        real *to = d->codes ? pixels : d->images + (begin + i) * n;
        task_resize_image(images->bytes + source * images->rows * images->cols, (int)images->cols,
                          rows, d->n_rows, cols, d->n_cols, to);
        for (size_t k = 0; d->codes && k < n; k++)
            d->codes[(begin + i) * n + k] = (uint16_t)lrint((double)pixels[k] * (double)d->most);
        d->labels[begin + i] = labels->bytes[source];
    }
}

/* Codes where every pixel is a whole multiple of a unit, numbers elsewhere. */
static int allocate_images(task_dataset *d, size_t n, const task_tap *rows, const task_tap *cols) {
    int levels = task_resize_levels(d->n_rows, rows) * task_resize_levels(d->n_cols, cols);
    size_t pixel_bytes = levels ? sizeof *d->codes : sizeof *d->images;
    size_t bytes = n * (size_t)d->n_pixels * pixel_bytes;
    void *memory = aligned_alloc(TASK_ALIGNMENT, (bytes + 63) / 64 * 64);
    d->codes = levels ? memory : NULL;
    d->images = levels ? NULL : memory;
    d->most = (real)(255 * levels);
    return memory != NULL;
}

static int build(task_dataset *d, const task_idx files[N_FILES], int size, lopt_error *err) {
    const task_idx *train = &files[TRAIN_IMAGES], *test = &files[TEST_IMAGES];
    d->n_rows = size ? size : (int)train->rows;
    d->n_cols = size ? size : (int)train->cols;
    d->n_pixels = d->n_rows * d->n_cols;
    set_splits(d, train->n, test->n);
    size_t n = train->n + test->n;
    if (n * (size_t)d->n_pixels > MAX_BYTES / sizeof(real)) {
        return task_fail(err, LOPT_EARG,
                         "%zu images of %d x %d pixels take more than %zu GB; lower image_size", n,
                         d->n_rows, d->n_cols, MAX_BYTES >> 30);
    }
    d->labels = malloc(n);
    uint32_t *order = malloc(train->n * sizeof *order);
    real *pixels = malloc((size_t)d->n_pixels * sizeof *pixels);
    task_tap *rows = malloc((size_t)d->n_rows * sizeof *rows);
    task_tap *cols = malloc((size_t)d->n_cols * sizeof *cols);
    int made = d->labels && order && pixels && rows && cols;
    if (made) {
        task_resize_taps((int)train->rows, d->n_rows, rows);
        task_resize_taps((int)train->cols, d->n_cols, cols);
        made = allocate_images(d, n, rows, cols);
    }
    if (made) {
        permute(train->n, order);
        fill_rows(d, 0, train, &files[TRAIN_LABELS], order, rows, cols, pixels);
        fill_rows(d, train->n, test, &files[TEST_LABELS], NULL, rows, cols, pixels);
    }
    free(order);
    free(pixels);
    free(rows);
    free(cols);
    return made ? 1
                : task_fail(err, LOPT_ENOMEM, "out of memory for %zu images of %d pixels", n,
                            d->n_pixels);
}

static void destroy_entry(entry *e) {
    if (!e) return;
    free(e->set.codes);
    free(e->set.images);
    free(e->set.labels);
    free(e);
}

static entry *load(const char *folder, int size, int n_classes, lopt_error *err) {
    entry *e = calloc(1, sizeof *e);
    if (!e) {
        task_fail(err, LOPT_ENOMEM, "%s: out of memory", folder);
        return NULL;
    }
    e->size = size;
    snprintf(e->folder, sizeof e->folder, "%s", folder);
    task_idx files[N_FILES] = {0};
    int done = 1;
    for (int i = 0; i < N_FILES && done; i++) done = read_file(folder, i, &files[i], err);
    if (done) {
        e->set.n_classes = n_classes ? n_classes : largest_label(&files[TRAIN_LABELS]) + 1;
        done =
            check_files(folder, files, e->set.n_classes, err) && build(&e->set, files, size, err);
    }
    for (int i = 0; i < N_FILES; i++) task_idx_free(&files[i]);
    if (done) return e;
    destroy_entry(e);
    return NULL;
}

const task_dataset *task_dataset_open(const char *name, const char *data_path, int size,
                                      lopt_error *err) {
    char folder[PATH_BYTES];
    int n_classes;
    if (size < 0 || size > MAX_SIZE) {
        task_fail(err, LOPT_EARG, "data set %s: image_size is %d, allowed: 0 to %d", name, size,
                  MAX_SIZE);
        return NULL;
    }
    if (!find_set(name, data_path, folder, &n_classes, err)) return NULL;
    entry *e = cache;
    while (e && (e->size != size || strcmp(e->folder, folder) != 0)) e = e->next;
    if (!e) {
        e = load(folder, size, n_classes, err);
        if (!e) return NULL;
        e->next = cache;
        cache = e;
    }
    e->n_users++;
    return &e->set;
}

void task_dataset_close(const task_dataset *d) {
    entry **link = &cache;
    while (*link && &(*link)->set != d) link = &(*link)->next;
    entry *e = *link;
    if (!e || --e->n_users > 0) return;
    *link = e->next;
    destroy_entry(e);
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* Rows lie far apart: asking for all of them before the first copy hides the latency of memory. */
static void prefetch_row(const task_dataset *d, size_t row) {
    size_t n = (size_t)d->n_pixels;
    const char *from = d->codes ? (const char *)(d->codes + row * n)
                                : (const char *)(d->images + row * n);
    size_t n_bytes = n * (d->codes ? sizeof *d->codes : sizeof *d->images);
    for (size_t at = 0; at < n_bytes && at < 1024; at += 64) __builtin_prefetch(from + at);
}

void task_dataset_gather(const task_dataset *d, int n, const int32_t *rows, real *images) {
    size_t n_pixels = (size_t)d->n_pixels;
    if (d->codes) {
        task_elementwise_best()->gather(n, rows, n_pixels, d->codes, d->most, images);
        return;
    }
    for (int i = 0; i < n; i++) {
        memcpy(images + (size_t)i * n_pixels, d->images + (size_t)rows[i] * n_pixels,
               n_pixels * sizeof *images);
    }
}

void task_dataset_draw(const task_dataset *d, task_split split, random_stream *r, int batch,
                       real *images, int32_t *labels) {
    int32_t begin = (int32_t)d->begin[split];
    random_rows(r, d->count[split], (size_t)batch, labels);
    for (int i = 0; i < batch; i++) {
        labels[i] += begin;
        prefetch_row(d, (size_t)labels[i]);
        __builtin_prefetch(d->labels + labels[i]);
    }
    task_dataset_gather(d, batch, labels, images);
    for (int i = 0; i < batch; i++) labels[i] = d->labels[labels[i]];
}
