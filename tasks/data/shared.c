/* SPDX-License-Identifier: Apache-2.0
 *
 * shared.c - see shared.h. A file is a head of HEAD bytes (magic, sizes, the key), then the block. */
#include "data/shared.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/task_error.h"

#define BOUND ((size_t)8 << 30)
enum { HEAD = 20480, KEY_BYTES = 16384 };
static const char magic[16] = "metatrain data 1";

typedef struct head {
    char magic[16];
    size_t n_bytes;
    char key[KEY_BYTES];
} head;

_Static_assert(sizeof(head) <= HEAD && HEAD % 64 == 0, "the block begins after the head, aligned");

/* ---- the folder ------------------------------------------------------------------------------ */

void task_shared_folder(char *path, size_t n) {
    const char *named = getenv("METATRAIN_CACHE"), *parent = getenv("TMPDIR");
    if (named && *named)
        snprintf(path, n, "%s", named);
    else
        snprintf(path, n, "%s/metatrain-%u", parent && *parent ? parent : "/tmp", (unsigned)geteuid());
}

/* Ours, and nobody else may write into it: what lies there is trusted. -1: there is none. */
static int open_block_folder(void) {
    char path[4096];
    struct stat info;
    task_shared_folder(path, sizeof path);
    if (strcmp(path, "off") == 0) return -1;
    (void)mkdir(path, 0700);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) return -1;
    if (fstat(folder, &info) == 0 && info.st_uid == geteuid() && !(info.st_mode & 022)) return folder;
    close(folder);
    return -1;
}

static int is_block_name(const char *name) {
    size_t n = strlen(name);
    return n > 6 && strcmp(name + n - 6, ".block") == 0;
}

/* Bytes of all blocks, and the one that was not used for longest (oldest: its name, or ""). */
static size_t measure_block_folder(int folder, size_t *n_blocks, char oldest[256]) {
    size_t sum = 0;
    struct timespec first = {0};
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    *n_blocks = 0;
    oldest[0] = 0;
    for (const struct dirent *d; list && (d = readdir(list));) {
        struct stat info;
        if (!is_block_name(d->d_name) || fstatat(folder, d->d_name, &info, AT_SYMLINK_NOFOLLOW)) continue;
        sum += (size_t)info.st_size;
        ++*n_blocks;
        const struct timespec *t = &info.st_mtim;
        if (oldest[0] && (t->tv_sec > first.tv_sec || (t->tv_sec == first.tv_sec && t->tv_nsec >= first.tv_nsec)))
            continue;
        first = *t;
        snprintf(oldest, 256, "%s", d->d_name);
    }
    if (list) closedir(list);
    return sum;
}

/* Removes the oldest blocks until at most `bound` bytes are left. */
static void trim_block_folder(int folder, size_t bound) {
    char oldest[256];
    size_t n;
    while (measure_block_folder(folder, &n, oldest) > bound && unlinkat(folder, oldest, 0) == 0) {
    }
}

size_t task_shared_usage(size_t *n_blocks) {
    char oldest[256];
    int folder = open_block_folder();
    *n_blocks = 0;
    size_t sum = folder < 0 ? 0 : measure_block_folder(folder, n_blocks, oldest);
    if (folder >= 0) close(folder);
    return sum;
}

void task_shared_clear(void) {
    int folder = open_block_folder();
    if (folder < 0) return;
    trim_block_folder(folder, 0);
    close(folder);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* FNV-1a of the key; the head holds the key itself. */
static void name_block_file(task_shared *s) {
    uint64_t h = 14695981039346656037u;
    for (const char *c = s->key; *c; c++) h = (h ^ (unsigned char)*c) * 1099511628211u;
    snprintf(s->name, sizeof s->name, "%016llx.block", (unsigned long long)h);
}

/* Maps the file of that name if it is whole and of this key, and notes that it is used. */
static int map_block_file(task_shared *s) {
    struct stat info;
    int file = openat(s->folder, s->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) return 0;
    void *memory = MAP_FAILED;
    if (fstat(file, &info) == 0 && info.st_size > HEAD)
        memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, file, 0);
    const head *h = memory;
    int found = memory != MAP_FAILED && memcmp(h->magic, magic, sizeof magic) == 0 &&
                h->n_bytes == (size_t)info.st_size - HEAD && strncmp(h->key, s->key, sizeof h->key) == 0;
    if (found) {
        s->mapped = memory;
        s->data = s->mapped + HEAD;
        s->n_bytes = h->n_bytes;
        (void)utimensat(s->folder, s->name, NULL, 0);
    } else if (memory != MAP_FAILED)
        munmap(memory, (size_t)info.st_size);
    close(file);
    return found;
}

static void unlock_block_folder(task_shared *s) {
    if (s->file >= 0) {
        close(s->file);
        (void)unlinkat(s->folder, "being made", 0);
    }
    if (s->folder >= 0) close(s->folder); /* and with it the lock */
    free(s->key);
    s->key = NULL;
    s->folder = s->file = -1;
}

int task_shared_find(task_shared *s, const char *key) {
    *s = (task_shared){.folder = -1, .file = -1};
    if (!key || strlen(key) >= KEY_BYTES || !(s->key = strdup(key))) return 0;
    name_block_file(s);
    s->folder = open_block_folder();
    if (s->folder < 0) return 0;
    int found = map_block_file(s);
    if (!found && flock(s->folder, LOCK_EX) == 0) found = map_block_file(s);
    if (found) unlock_block_folder(s);
    return found;
}

/* A file in the locked folder with room for the block, mapped. */
static int make_block_file(task_shared *s) {
    size_t total = HEAD + s->n_bytes;
    if (s->folder < 0) return 0;
    (void)unlinkat(s->folder, "being made", 0); /* of a process that died */
    s->file = openat(s->folder, "being made", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    void *memory = MAP_FAILED;
    if (s->file >= 0 && posix_fallocate(s->file, 0, (off_t)total) == 0)
        memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, s->file, 0);
    if (memory == MAP_FAILED) return 0;
    s->mapped = memory;
    s->data = s->mapped + HEAD;
    return 1;
}

int task_shared_make(task_shared *s, size_t n_bytes) {
    s->n_bytes = n_bytes;
    if (make_block_file(s)) return 1;
    unlock_block_folder(s);
    s->data = aligned_alloc(TASK_ALIGNMENT, (n_bytes + TASK_ALIGNMENT - 1) / TASK_ALIGNMENT * TASK_ALIGNMENT);
    return s->data != NULL;
}

void task_shared_publish(task_shared *s) {
    if (!s->mapped) return;
    head *h = (void *)s->mapped;
    memcpy(h->magic, magic, sizeof magic);
    h->n_bytes = s->n_bytes;
    strcpy(h->key, s->key);
    size_t total = HEAD + s->n_bytes;
    if (msync(s->mapped, total, MS_SYNC) == 0) {
        trim_block_folder(s->folder, s->n_bytes < BOUND ? BOUND - s->n_bytes : 0);
        (void)renameat(s->folder, "being made", s->folder, s->name);
    }
    (void)mprotect(s->mapped, total, PROT_READ);
    unlock_block_folder(s);
}

void task_shared_close(task_shared *s) {
    unlock_block_folder(s);
    if (s->mapped)
        munmap(s->mapped, HEAD + s->n_bytes);
    else
        free(s->data);
    *s = (task_shared){.folder = -1, .file = -1};
}
