/* SPDX-License-Identifier: Apache-2.0
 *
 * dataset.c - see dataset.h. */
#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/task_error.h"
#include "data/resize.h"
#include "data/shared.h"
#include "data/sources.h"
#include "math/elementwise.h"

#define MIN_EXAMPLES 10 /* so that no split is empty */
#define MAX_SIZE 1024
#define MAX_CODE 65535
#define MAX_BYTES ((size_t)64 << 30)
enum { KEY_BYTES = 16384 };

/* Begins a block: what the set is, then (aligned) its codes or numbers, then its labels. */
typedef struct head {
    task_dataset set; /* without pointers */
    int coded;
    size_t labels_at;
} head;

enum { DATA_AT = (sizeof(head) + TASK_ALIGNMENT - 1) / TASK_ALIGNMENT * TASK_ALIGNMENT };

/* A set in use. */
typedef struct entry {
    task_dataset set; /* first, so that a set's address is its entry's */
    struct entry *next;
    int n_users;
    task_shared block;
    char key[];
} entry;

/* Sets are read once a process, however many tasks use them. */
static entry *in_use;

/* ---- checks ---------------------------------------------------------------------------------- */

static int find_largest_label(const task_raw *raw) {
    int largest = 0;
    for (size_t i = 0; i < raw->n_labels; i++)
        if (raw->labels[i] > largest) largest = raw->labels[i];
    return largest;
}

static int check_label_range(const task_raw *raw, int n_classes, lopt_error *err) {
    const char *path = raw->labels_path[0] ? raw->labels_path : raw->path;
    if (raw->n_labels != raw->n) {
        return task_set_error(err, LOPT_EARG, "%s: %zu labels for %zu images", path, raw->n_labels, raw->n);
    }
    for (size_t i = 0; i < raw->n; i++) {
        if (raw->labels[i] < 0 || raw->labels[i] >= n_classes) {
            return task_set_error(err, LOPT_EARG, "%s: label %zu is %d, allowed: 0 to %d", path, i, raw->labels[i],
                                  n_classes - 1);
        }
    }
    return 1;
}

static int check_dataset_parts(const task_raw *parts, int n_classes, lopt_error *err) {
    const task_raw *train = &parts[TASK_TRAIN];
    if (train->n < MIN_EXAMPLES) {
        return task_set_error(err, LOPT_EARG, "%s: holds %zu images, needed: %d", train->path, train->n, MIN_EXAMPLES);
    }
    if (n_classes < 2 || n_classes > MAX_CODE + 1) {
        return task_set_error(err, LOPT_EARG, "%s: labels of %d classes, allowed: 2 to %d",
                              train->labels_path[0] ? train->labels_path : train->path, n_classes, MAX_CODE + 1);
    }
    if (!parts[TASK_INNER_VALID].n != !parts[TASK_OUTER_VALID].n) {
        return task_set_error(err, LOPT_EARG, "%s: has one of inner_valid and outer_valid, expected both or none",
                              train->path);
    }
    for (int i = 0; i < TASK_N_SPLITS; i++) {
        const task_raw *p = &parts[i];
        if (p->n == 0) continue;
        if (p->rows != train->rows || p->cols != train->cols || p->channels != train->channels ||
            !p->numbers != !train->numbers) {
            return task_set_error(err, LOPT_EARG, "%s: images are %d x %d x %d, those for training %d x %d x %d",
                                  p->path, p->rows, p->cols, p->channels, train->rows, train->cols, train->channels);
        }
        if (!check_label_range(p, n_classes, err)) return 0;
    }
    return 1;
}

/* ---- splits ---------------------------------------------------------------------------------- */

/* Where the examples of a split come from: rows order[first + i] of raw (order NULL: first + i). */
typedef struct origin {
    const task_raw *raw;
    const uint32_t *order;
    size_t first, count;
} origin;

static void permute_examples(size_t n, uint32_t *order) {
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){0, LOPT_RNG_SPLIT, 0, 0, 0});
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = (size_t)lopt_rng_draw_below(&r, i + 1);
        uint32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

static void choose_split_origins(const task_raw *parts, const uint32_t *order, int one_percent,
                                 origin from[TASK_N_SPLITS]) {
    const task_raw *all = &parts[TASK_TRAIN];
    size_t n = parts[TASK_TEST].n ? all->n : all->n - all->n / 5;
    size_t train = n / 10 * 8 + n % 10 * 8 / 10, inner = (n - train) / 2;
    from[TASK_TRAIN] = (origin){all, order, 0, one_percent ? n / 100 + (n % 100 >= 50) : train};
    if (from[TASK_TRAIN].count == 0) from[TASK_TRAIN].count = 1;
    from[TASK_INNER_VALID] = (origin){all, order, train, inner};
    from[TASK_OUTER_VALID] = (origin){all, order, train + inner, n - train - inner};
    from[TASK_TEST] = (origin){all, order, n, all->n - n};
    if (parts[TASK_INNER_VALID].n && !one_percent) from[TASK_TRAIN].count = n;
    for (int s = TASK_INNER_VALID; s < TASK_N_SPLITS; s++)
        if (parts[s].n) from[s] = (origin){&parts[s], NULL, 0, parts[s].n};
}

/* ---- building -------------------------------------------------------------------------------- */

/* How images become the pixels of a set. */
typedef struct plan {
    task_dataset *set;
    uint16_t *codes;
    real *images;
    uint16_t *labels;
    task_tap *rows, *cols;
    real *pixels; /* scratch: one resized image */
    int grey;
} plan;

static void mean_of_channels(const task_dataset *d, real *pixels) {
    for (int i = 0; i < d->n_pixels; i++) {
        real sum = 0;
        for (int c = 0; c < 3; c++) sum += pixels[3 * i + c];
        pixels[i] = sum / 3;
    }
}

static void fill_image_row(const plan *p, const task_raw *raw, size_t source, size_t row) {
    const task_dataset *d = p->set;
    size_t n = (size_t)d->n_pixels, group = p->grey ? 3 : 1;
    size_t bytes = (size_t)raw->rows * (size_t)raw->cols * (size_t)raw->channels;
    task_resize_image(raw->bytes + source * bytes, raw->cols, raw->channels, p->rows, d->n_rows, p->cols, d->n_cols,
                      p->pixels);
    if (!p->codes) {
        if (p->grey) mean_of_channels(d, p->pixels);
        memcpy(p->images + row * n, p->pixels, n * sizeof *p->pixels);
        return;
    }
    double unit = (double)d->max_code / (double)group; /* codes of the channels add */
    for (size_t k = 0; k < n; k++) {
        long code = 0;
        for (size_t c = 0; c < group; c++) code += lrint((double)p->pixels[k * group + c] * unit);
        p->codes[row * n + k] = (uint16_t)code;
    }
}

static void fill_number_row(const plan *p, const task_raw *raw, size_t source, size_t row) {
    size_t n = (size_t)p->set->n_pixels;
    for (size_t k = 0; k < n; k++) p->images[row * n + k] = (real)raw->numbers[source * n + k];
}

/* Each feature gets mean 0 and deviation 1 over the train split (a constant one stays 0). */
static void standardise_features(const task_dataset *d, size_t n_all, real *images) {
    size_t n = (size_t)d->n_pixels, n_train = d->count[TASK_TRAIN];
    for (size_t k = 0; k < n; k++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n_train; i++) sum += (double)images[i * n + k];
        double mean = sum / (double)n_train;
        for (size_t i = 0; i < n_train; i++) squares += pow((double)images[i * n + k] - mean, 2);
        double deviation = sqrt(squares / (double)n_train), scale = deviation > 0 ? 1 / deviation : 0;
        for (size_t i = 0; i < n_all; i++) images[i * n + k] = (real)(((double)images[i * n + k] - mean) * scale);
    }
}

static size_t count_all_examples(const task_dataset *d) {
    return d->begin[TASK_TEST] + d->count[TASK_TEST];
}

static void fill_dataset_block(const plan *p, const origin from[TASK_N_SPLITS]) {
    for (int s = 0; s < TASK_N_SPLITS; s++) {
        for (size_t i = 0; i < from[s].count; i++) {
            const task_raw *raw = from[s].raw;
            size_t at = from[s].first + i, source = from[s].order ? from[s].order[at] : at;
            size_t row = p->set->begin[s] + i;
            (raw->numbers ? fill_number_row : fill_image_row)(p, raw, source, row);
            p->labels[row] = (uint16_t)raw->labels[source];
        }
    }
    if (from[TASK_TRAIN].raw->numbers) standardise_features(p->set, count_all_examples(p->set), p->images);
}

/* Shape and splits of the set; codes where every pixel is a whole multiple of a unit. */
static void describe_dataset_block(plan *p, const task_raw *raw, const origin from[TASK_N_SPLITS], int size, head *h) {
    task_dataset *d = p->set;
    d->is_image = raw->numbers == NULL;
    d->n_rows = size && d->is_image ? size : raw->rows;
    d->n_cols = size && d->is_image ? size : raw->cols;
    d->n_channels = p->grey ? 1 : raw->channels;
    d->n_pixels = d->n_rows * d->n_cols * d->n_channels;
    for (int s = 0; s < TASK_N_SPLITS; s++) {
        d->begin[s] = s ? d->begin[s - 1] + d->count[s - 1] : 0;
        d->count[s] = from[s].count;
    }
    h->coded = 0;
    if (!d->is_image || !p->rows || !p->cols) return;
    task_resize_taps(raw->rows, d->n_rows, p->rows);
    task_resize_taps(raw->cols, d->n_cols, p->cols);
    int max_code =
        255 * task_resize_levels(d->n_rows, p->rows) * task_resize_levels(d->n_cols, p->cols) * (p->grey ? 3 : 1);
    h->coded = max_code > 0 && max_code <= MAX_CODE;
    d->max_code = (real)(h->coded ? max_code : 0);
}

/* The block of a described set: where its codes or numbers and its labels are. */
static size_t lay_out_block(head *h) {
    size_t item = h->coded ? sizeof(uint16_t) : sizeof(real);
    h->labels_at = DATA_AT + (count_all_examples(&h->set) * (size_t)h->set.n_pixels * item + TASK_ALIGNMENT - 1) /
                                 TASK_ALIGNMENT * TASK_ALIGNMENT;
    return h->labels_at + count_all_examples(&h->set) * sizeof(uint16_t);
}

static int make_dataset_block(plan *p, const origin *from, head *h, task_shared *block, lopt_error *err) {
    const task_dataset *d = p->set;
    if (count_all_examples(d) > MAX_BYTES / sizeof(real) / (size_t)d->n_pixels) {
        return task_set_error(err, LOPT_EARG, "%zu images of %d x %d pixels take more than %zu GB; lower image_size",
                              count_all_examples(d), d->n_rows, d->n_cols, MAX_BYTES >> 30);
    }
    if (!p->rows || !p->cols || !p->pixels || !task_shared_make(block, lay_out_block(h))) {
        return task_set_error(err, LOPT_ENOMEM, "out of memory for %zu images of %d pixels", count_all_examples(d),
                              d->n_pixels);
    }
    char *memory = block->data;
    memcpy(memory, h, sizeof *h);
    p->codes = h->coded ? (uint16_t *)(void *)(memory + DATA_AT) : NULL;
    p->images = (real *)(void *)(memory + DATA_AT);
    p->labels = (uint16_t *)(void *)(memory + h->labels_at);
    fill_dataset_block(p, from);
    task_shared_publish(block);
    return 1;
}

static int build_dataset_block(const task_raw *parts, const task_spec *spec, int one_percent, task_shared *block,
                               lopt_error *err) {
    const task_raw *raw = &parts[TASK_TRAIN];
    head h = {0};
    origin from[TASK_N_SPLITS];
    h.set.n_classes = raw->n_classes ? raw->n_classes : find_largest_label(raw) + 1;
    if (!check_dataset_parts(parts, h.set.n_classes, err)) return 0;
    uint32_t *order = malloc(raw->n * sizeof *order);
    if (!order) return task_set_error(err, LOPT_ENOMEM, "%s: out of memory", raw->path);
    permute_examples(raw->n, order);
    choose_split_origins(parts, order, one_percent && spec->data_split == TASK_SPLIT_PUBLISHED, from);
    size_t rows = (size_t)(spec->image_size ? spec->image_size : raw->rows);
    size_t cols = (size_t)(spec->image_size ? spec->image_size : raw->cols);
    plan p = {.set = &h.set,
              .rows = malloc(rows * sizeof *p.rows),
              .cols = malloc(cols * sizeof *p.cols),
              .pixels = malloc(rows * cols * (size_t)raw->channels * sizeof *p.pixels),
              .grey = spec->grey && raw->channels == 3 && raw->bytes};
    describe_dataset_block(&p, raw, from, spec->image_size, &h);
    int done = make_dataset_block(&p, from, &h, block, err);
    free(p.rows);
    free(p.cols);
    free(p.pixels);
    free(order);
    return done;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void view_dataset_block(entry *e) {
    const head *h = e->block.data;
    const char *memory = e->block.data;
    e->set = h->set;
    e->set.codes = h->coded ? (const uint16_t *)(const void *)(memory + DATA_AT) : NULL;
    e->set.images = h->coded ? NULL : (const real *)(const void *)(memory + DATA_AT);
    e->set.labels = (const uint16_t *)(const void *)(memory + h->labels_at);
}

static int read_and_build_block(const task_source *s, const task_spec *spec, task_shared *block, lopt_error *err) {
    task_raw *parts = calloc(TASK_N_SPLITS, sizeof *parts);
    if (!parts) return task_set_error(err, LOPT_ENOMEM, "data set %s: out of memory", spec->dataset);
    int done = task_source_read(s, parts, err) && build_dataset_block(parts, spec, s->one_percent, block, err);
    for (int i = 0; i < TASK_N_SPLITS; i++) task_raw_free(&parts[i]);
    free(parts);
    return done;
}

static entry *load_dataset(const task_source *s, const task_spec *spec, const char *key, int keep, lopt_error *err) {
    entry *e = calloc(1, sizeof *e + strlen(key) + 1);
    if (!e) {
        task_set_error(err, LOPT_ENOMEM, "data set %s: out of memory", spec->dataset);
        return NULL;
    }
    strcpy(e->key, key);
    if (task_shared_find(&e->block, keep ? key : NULL) || read_and_build_block(s, spec, &e->block, err)) {
        view_dataset_block(e);
        return e;
    }
    task_shared_close(&e->block);
    free(e);
    return NULL;
}

const task_dataset *task_dataset_of(const task_spec *spec, lopt_error *err) {
    task_source s;
    char key[KEY_BYTES];
    int size = spec->image_size;
    if (size < 0 || size > MAX_SIZE) {
        task_set_error(err, LOPT_EARG, "data set %s: image_size is %d, allowed: 0 to %d", spec->dataset, size,
                       MAX_SIZE);
        return NULL;
    }
    if (!task_source_find(spec->dataset, spec->data_path, &s, err)) return NULL;
    size_t n = (size_t)snprintf(key, sizeof key, "%zu %d %d %d ", sizeof(real), size, spec->grey,
                                spec->data_split == TASK_SPLIT_PUBLISHED && s.one_percent);
    int keep = task_source_key(&s, key + n, sizeof key - n);
    entry *e = in_use;
    while (e && strcmp(e->key, key) != 0) e = e->next;
    if (!e) {
        e = load_dataset(&s, spec, key, keep, err);
        if (!e) return NULL;
        e->next = in_use;
        in_use = e;
    }
    e->n_users++;
    return &e->set;
}

const task_dataset *task_dataset_open(const char *name, const char *data_path, int size, lopt_error *err) {
    task_spec spec = {.image_size = size};
    if (strlen(name) >= sizeof spec.dataset || strlen(data_path) >= sizeof spec.data_path) {
        task_set_error(err, LOPT_EARG, "data set %.100s: its name or data.path is too long", name);
        return NULL;
    }
    strcpy(spec.dataset, name);
    strcpy(spec.data_path, data_path);
    return task_dataset_of(&spec, err);
}

void task_dataset_close(const task_dataset *d) {
    entry **link = &in_use;
    while (*link && &(*link)->set != d) link = &(*link)->next;
    entry *e = *link;
    if (!e || --e->n_users > 0) return;
    *link = e->next;
    task_shared_close(&e->block);
    free(e);
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* Rows lie far apart: asking for all of them before the first copy hides the latency of memory. */
static void prefetch_dataset_row(const task_dataset *d, size_t row) {
    size_t n = (size_t)d->n_pixels;
    const char *from = d->codes ? (const char *)(d->codes + row * n) : (const char *)(d->images + row * n);
    size_t n_bytes = n * (d->codes ? sizeof *d->codes : sizeof *d->images);
    for (size_t at = 0; at < n_bytes && at < 1024; at += 64) __builtin_prefetch(from + at);
}

void task_dataset_gather(const task_dataset *d, int n, const int32_t *rows, real *images) {
    size_t n_pixels = (size_t)d->n_pixels;
    if (d->codes) {
        task_elementwise_best()->gather(n, rows, n_pixels, d->codes, d->max_code, images);
        return;
    }
    for (int i = 0; i < n; i++) {
        memcpy(images + (size_t)i * n_pixels, d->images + (size_t)rows[i] * n_pixels, n_pixels * sizeof *images);
    }
}

void task_dataset_draw(const task_dataset *d, task_split split, lopt_rng_stream *r, int batch, real *images,
                       int32_t *labels) {
    int32_t begin = (int32_t)d->begin[split];
    lopt_rng_draw_rows(r, d->count[split], (size_t)batch, labels);
    for (int i = 0; i < batch; i++) {
        labels[i] += begin;
        prefetch_dataset_row(d, (size_t)labels[i]);
        __builtin_prefetch(d->labels + labels[i]);
    }
    task_dataset_gather(d, batch, labels, images);
    for (int i = 0; i < batch; i++) labels[i] = d->labels[labels[i]];
}
