/* SPDX-License-Identifier: Apache-2.0
 *
 * shared.h - a block of memory that is made once and shared by all processes of a machine.
 *
 *     task_shared s;
 *     if (!task_shared_find(&s, key)) {               nobody has made it: this process does
 *         if (!task_shared_make(&s, n_bytes)) ...     memory to fill; out of memory
 *         fill(s.data);
 *         task_shared_publish(&s);                    others find it from here on
 *     }
 *     read(s.data); task_shared_close(&s);
 *
 * Where    A file of a private folder, mapped read-only: $METATRAIN_CACHE, else metatrain-UID in
 *          $TMPDIR or /tmp. The system keeps one copy of its pages in memory, and drops them when
 *          nobody uses them. With METATRAIN_CACHE=off, or where the folder is not ours alone or has no
 *          room, the block is memory of this process: the same, but not shared.
 * Key      A text of at most 16 KB that says everything the block depends on.
 * Races    Between find and publish (or close) the folder is locked: who needs the same block waits
 *          and finds it. A file has its name only when it is whole; a dead process leaves the lock.
 * Size     Publishing removes blocks that were not used for longest while all take more than 8 GB.
 *          task_shared_clear removes all. Who has mapped a removed block keeps it until it closes it. */
#ifndef TASK_SHARED_H
#define TASK_SHARED_H

#include "base/spec.h"

typedef struct task_shared {
    void *data; /* aligned to 64 bytes */
    size_t n_bytes;
    char *mapped;     /* the file: a page that says what it is, then data; NULL: own memory */
    int folder, file; /* while it is made; else -1 */
    char name[48], *key;
} task_shared;

int task_shared_find(task_shared *s, const char *key); /* key NULL: never shared */
int task_shared_make(task_shared *s, size_t n_bytes);
void task_shared_publish(task_shared *s);
void task_shared_close(task_shared *s);

/* The folder ("off": none), and what it holds; _clear empties it. */
void task_shared_folder(char *path, size_t n);
size_t task_shared_usage(size_t *n_blocks);
void task_shared_clear(void);

#endif
