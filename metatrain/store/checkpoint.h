/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpoint.h - checkpoints: DIR/checkpoints/step-000000000050/ (docs/file-formats.md).
 *
 *     run.h5               coordinator: theta, outer optimizer, counters, noise bookkeeping, config, provenance
 *     particles-0000.h5    one shard a rank: every particle it holds with its inner state
 *     manifest.json        names, sizes and XXH3-128 digests of the files above; written last
 *
 * A point is complete or absent: files go to a folder with a temporary name (.step-...partial), each is
 * synced, the manifest is written and synced, then the folder is renamed and its parent synced. A point
 * whose manifest or digests do not verify is named in a warning and skipped. The last `keep` are kept.
 * A resume may run on another number of ranks: each rank asks for its particles by number.
 *
 * dir is the run's folder, DIR. run.h5 must hold the items "theta" (floats) and "config" (bytes: the resolved
 * YAML): `metatrain show` reads them, and lists the others.
 *
 * Life of a save (coordinator c, every rank r):
 *     c: mt_checkpoint_begin(dir, step)  ->  r: mt_checkpoint_write_shard(...)  ->  c: mt_checkpoint_commit(...)
 *
 * All functions return 1, or 0 with a sentence. */
#ifndef MT_CHECKPOINT_H
#define MT_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "lopt.h"
#include "store/hdf5_file.h"

/* A named piece of memory in a checkpoint file: an array of one of the types of hdf5_file.h. */
typedef struct mt_item {
    const char *name; /* HDF5 path; groups are made as needed: "particle_000003/state_plus" */
    mt_item_type type;
    void *data; /* read from on save, written to on load */
    size_t n;   /* elements; on load the stored count must be equal */
} mt_item;

/* attempt: another number for every save of a step that may still be going on elsewhere. */
int mt_checkpoint_begin(const char *dir, int64_t step, int64_t attempt, lopt_error *err);
/* One shard; rank, counted without gaps, names the file. */
int mt_checkpoint_write_shard(const char *dir, int64_t step, int64_t attempt, int rank, const mt_item *items, size_t n,
                              lopt_error *err);
/* Writes run.h5, verifies that all shards are there, writes the manifest, renames, prunes to
 * `keep`. */
int mt_checkpoint_commit(const char *dir, int64_t step, int64_t attempt, int n_shards, const mt_item *items, size_t n,
                         int64_t keep, lopt_error *err);

/* Newest point that verifies; *step = -1 when there is no point at all. 0 and a sentence when there are
 * points and none verifies, or one cannot be read. Each damaged point is reported through warn. */
int mt_checkpoint_find(const char *dir, int64_t *step, void (*warn)(const char *sentence), lopt_error *err);
/* Checks one point by its folder, whatever that is called. */
int mt_checkpoint_verify(const char *folder, lopt_error *err);
/* Sizes are known beforehand except for text: use mt_checkpoint_read_text for those. */
int mt_checkpoint_read_run(const char *dir, int64_t step, const mt_item *items, size_t n, lopt_error *err);
char *mt_checkpoint_read_text(const char *dir, int64_t step, const char *name, lopt_error *err); /* caller frees */
/* Reads items from whichever shard holds their first path component (all items of one particle lie
 * in one shard). */
int mt_checkpoint_read_particles(const char *dir, int64_t step, const mt_item *items, size_t n, lopt_error *err);

#endif
