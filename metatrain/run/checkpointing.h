/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpointing.h - rank 0: checkpoints of a run, to which every owner of state contributes its own items.
 *
 *     mt_contribute_items(&k, list_items, restored, owner);       once an owner: what it saves
 *     mt_save_checkpoint(&k, step, work, worker, &err);     every rank writes its shard (SAVE), then it is committed
 *     mt_restore_checkpoint(&k, step, &err);                brings all owners to that outer step
 *
 * In a checkpoint are: theta, the outer optimizer, counters, the noise since the reset, in asynchronous mode reports
 * not yet used, the configuration (run.h5); every particle with the states of its twins (shards). A checkpoint that
 * fails is reported and tried again when the next is due: the run is worth more than one checkpoint of it. */
#ifndef MT_CHECKPOINTING_H
#define MT_CHECKPOINTING_H

#include "run/session.h"
#include "store/checkpoint.h"

enum { MT_CONTRIBUTORS = 8, MT_CONTRIBUTED_ITEMS = 8 };

/* Names the memory of an owner's items, at most MT_CONTRIBUTED_ITEMS, to be read from or written to; returns how
 * many. An item whose size is only known from the checkpoint is read by `restored`. */
typedef size_t mt_list_items(void *owner, mt_item *items);
typedef int mt_restored(void *owner, int64_t step, lopt_error *err); /* the items were read; 0: they make no sense */

typedef struct mt_checkpointing {
    mt_session *session; /* borrowed */
    int n;
    struct {
        mt_list_items *list;
        mt_restored *restored;
        void *owner;
    } contributor[MT_CONTRIBUTORS];
    int64_t pending;   /* answers */
    lopt_error answer; /* the first that was a failure */
} mt_checkpointing;

void mt_checkpointing_open(mt_checkpointing *k, mt_session *s); /* contributes nothing but the configuration */
/* restored may be NULL. */
void mt_contribute_items(mt_checkpointing *k, mt_list_items *list, mt_restored *restored, void *owner);
int mt_save_checkpoint(mt_checkpointing *k, int64_t step, mt_work *work, void *worker, lopt_error *err);
int mt_restore_checkpoint(mt_checkpointing *k, int64_t step, lopt_error *err);

#endif
