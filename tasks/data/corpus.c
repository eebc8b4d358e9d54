/* SPDX-License-Identifier: Apache-2.0
 *
 * corpus.c - see corpus.h. */
#include "data/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/task_error.h"
#include "data/bible.h"

#define MAX_BYTES ((size_t)1 << 30)

/* Texts with a name. path: where Debian's package puts it; stands_for: what a published name is here. */
static const struct {
    const char *name, *path, *package, *stands_for;
} known_texts[] = {
    {"fortunes", "/usr/share/games/fortunes", "fortunes", NULL},
    {"bible", "/usr/lib/bible.data", "bible-kjv-text", NULL},
    {"lm1b", NULL, NULL, "fortunes"},
    {"wikipedia", NULL, NULL, "bible"},
};

enum { N_KNOWN = sizeof known_texts / sizeof *known_texts };

/* ---- finding --------------------------------------------------------------------------------- */

static int find_text_in_path(const char *data_path, const char *name, char path[TASK_CORPUS_PATH]) {
    for (const char *p = data_path; *p;) {
        size_t length = strcspn(p, ":");
        for (int ending = 0; length && ending < 2; ending++) {
            int n = snprintf(path, TASK_CORPUS_PATH, "%.*s/%s%s", (int)length, p, name, ending ? ".txt" : "");
            if (n < TASK_CORPUS_PATH && access(path, F_OK) == 0) return 1;
        }
        p += length + (p[length] == ':');
    }
    return 0;
}

int task_corpus_find(const char *name, const char *data_path, char path[TASK_CORPUS_PATH], lopt_error *err) {
    if (strchr(name, '/')) {
        snprintf(path, TASK_CORPUS_PATH, "%s", name);
        return access(path, F_OK) == 0 ||
               task_set_error(err, LOPT_EARG, "text %.200s: there is no such file or folder", name);
    }
    if (*name && find_text_in_path(data_path, name, path)) return 1;
    for (int k = 0; k < N_KNOWN; k++) {
        if (strcmp(name, known_texts[k].name) != 0) continue;
        if (known_texts[k].stands_for) return task_corpus_find(known_texts[k].stands_for, data_path, path, err);
        snprintf(path, TASK_CORPUS_PATH, "%s", known_texts[k].path);
        return access(path, F_OK) == 0 || task_set_error(err, LOPT_EARG,
                                                         "text %s: there is no %s; apt-get install %s "
                                                         "or put %s.txt into a folder of data.path",
                                                         name, path, known_texts[k].package, name);
    }
    return task_set_error(err, LOPT_EUNKNOWN,
                          "unknown text \"%.64s\", allowed: fortunes, bible, lm1b, wikipedia, a file or "
                          "folder of data.path, "
                          "or a path with a '/'",
                          name);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct buffer {
    unsigned char *bytes;
    size_t n;
} buffer;

/* Reads a regular file whole; a pipe would wait for who writes to it. */
static int read_text_file(const char *path, buffer *out, lopt_error *err) {
    *out = (buffer){0};
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        task_set_error(err, LOPT_EARG, "%s: cannot be opened: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return 0;
    }
    int ok = S_ISREG(info.st_mode) || task_set_error(err, LOPT_EARG, "%s: is not a file", path);
    ok = ok && ((size_t)info.st_size <= MAX_BYTES || task_set_error(err, LOPT_EARG, "%s: has %lld bytes, allowed: %zu",
                                                                    path, (long long)info.st_size, MAX_BYTES));
    size_t size = ok ? (size_t)info.st_size : 0;
    out->bytes = ok ? malloc(size + 1) : NULL;
    if (ok && !out->bytes) ok = task_set_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    for (ssize_t got; ok && out->n < size; out->n += (size_t)got) {
        got = read(fd, out->bytes + out->n, size - out->n);
        if (got < 0) ok = task_set_error(err, LOPT_EARG, "%s: cannot be read: %s", path, strerror(errno));
        if (got <= 0) break;
    }
    close(fd);
    return ok;
}

/* The length of the character at p, 0 if it is none (Unicode 3.9, table 3-7). */
static size_t measure_utf8_character(const unsigned char *p, size_t n) {
    if (p[0] < 0x80) return 1;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || length > n) return 0;
    for (size_t k = 1; k < length; k++)
        if ((p[k] & 0xc0) != 0x80) return 0;
    int overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    int outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || outside ? 0 : length;
}

static int check_utf8_text(const char *path, const buffer *b, lopt_error *err) {
    for (size_t at = 0, length; at < b->n; at += length) {
        length = measure_utf8_character(b->bytes + at, b->n - at);
        if (!length) return task_set_error(err, LOPT_EARG, "%s: byte %zu is not of UTF-8 text", path, at);
    }
    return 1;
}

static int append_text(buffer *all, const buffer *part, const char *path, lopt_error *err) {
    if (part->n > MAX_BYTES - all->n)
        return task_set_error(err, LOPT_EARG, "%s: with it the texts have more than %zu bytes", path, MAX_BYTES);
    unsigned char *more = realloc(all->bytes, all->n + part->n + 2);
    if (!more) return task_set_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    if (part->n) memcpy(more + all->n, part->bytes, part->n);
    all->bytes = more;
    all->n += part->n;
    more[all->n++] = '\n'; /* a file ends its last text */
    more[all->n++] = '\n';
    return 1;
}

static int add_text_file(const char *path, buffer *all, lopt_error *err) {
    buffer file = {0};
    int ok = read_text_file(path, &file, err);
    if (ok && task_is_bible(file.bytes, file.n)) {
        buffer text = {0};
        ok = task_bible_unpack(path, file.bytes, file.n, &text.bytes, &text.n, err);
        free(file.bytes);
        file = text;
    }
    ok = ok && check_utf8_text(path, &file, err) && append_text(all, &file, path, err);
    free(file.bytes);
    return ok;
}

static int is_text_entry(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && !(n >= 4 && strcmp(entry->d_name + n - 4, ".dat") == 0);
}

static int compare_entry_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_text_folder(const char *folder, buffer *all, lopt_error *err) {
    struct dirent **entries;
    int n = scandir(folder, &entries, is_text_entry, compare_entry_bytes);
    if (n < 0) return task_set_error(err, LOPT_EARG, "%s: cannot be listed: %s", folder, strerror(errno));
    int ok = 1;
    for (int i = 0; i < n; i++) {
        char path[TASK_CORPUS_PATH];
        struct stat info;
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        int is_file = length < (int)sizeof path && lstat(path, &info) == 0 && S_ISREG(info.st_mode);
        if (ok && is_file) ok = add_text_file(path, all, err);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

/* ---- cutting --------------------------------------------------------------------------------- */

static int is_fortune_border(const unsigned char *line, size_t n) {
    if (n && line[0] == '%') line++, n--;
    /* NOLINTNEXTLINE(clang-analyzer-core.*): the n bytes of the line are there */
    while (n && (line[0] == ' ' || (line[0] >= '\t' && line[0] <= '\r'))) line++, n--;
    return n == 0;
}

/* Where a text that begins at `begin` and is too long at `end` is cut: not within a character. */
static size_t find_cut_position(const unsigned char *bytes, size_t begin, size_t end) {
    if (end - begin <= TASK_LONGEST_TEXT) return end;
    end = begin + TASK_LONGEST_TEXT;
    while ((bytes[end] & 0xc0) == 0x80) end--;
    return end;
}

/* Moves texts together; begin NULL: only counts them. */
static size_t cut_into_texts(unsigned char *bytes, size_t n, size_t *begin) {
    size_t n_texts = 0, to = 0, first = 0;
    for (size_t at = 0; at < n;) {
        const unsigned char *stop = memchr(bytes + at, '\n', n - at);
        size_t end = stop ? (size_t)(stop - bytes) + 1 : n;
        int border = is_fortune_border(bytes + at, end - at);
        if (border) {
            for (size_t last = at; first < last; n_texts++) {
                size_t next = find_cut_position(bytes, first, last);
                if (begin) {
                    begin[n_texts] = to;
                    memmove(bytes + to, bytes + first, next - first);
                }
                to += next - first;
                first = next;
            }
            first = end;
        }
        at = end;
    }
    if (begin) begin[n_texts] = to;
    return n_texts;
}

int task_corpus_read(const char *path, task_corpus *c, lopt_error *err) {
    *c = (task_corpus){0};
    buffer all = {0};
    struct stat info;
    int is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    int ok = is_folder ? add_text_folder(path, &all, err) : add_text_file(path, &all, err);
    c->bytes = all.bytes;
    if (ok) c->n_texts = cut_into_texts(all.bytes, all.n, NULL);
    if (ok && c->n_texts < TASK_FEWEST_TEXTS) {
        ok = task_set_error(err, LOPT_EARG,
                            "%s: holds %zu texts (parts between empty lines, of %d bytes at most), needed: %d", path,
                            c->n_texts, TASK_LONGEST_TEXT, TASK_FEWEST_TEXTS);
    }
    c->begin = ok ? malloc((c->n_texts + 1) * sizeof *c->begin) : NULL;
    if (ok && !c->begin) ok = task_set_error(err, LOPT_ENOMEM, "%s: out of memory", path);
    if (ok) cut_into_texts(all.bytes, all.n, c->begin);
    if (!ok) task_corpus_free(c);
    return ok;
}

void task_corpus_free(task_corpus *c) {
    free(c->bytes);
    free(c->begin);
    *c = (task_corpus){0};
}
