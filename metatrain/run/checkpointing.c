/* SPDX-License-Identifier: Apache-2.0
 *
 * checkpointing.c - see checkpointing.h. */
#include "run/checkpointing.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

void mt_contribute_items(mt_checkpointing *k, mt_list_items *list, mt_restored *restored, void *owner) {
    k->contributor[k->n].list = list;
    k->contributor[k->n].restored = restored;
    k->contributor[k->n++].owner = owner;
}

static size_t list_all_items(mt_checkpointing *k, mt_item *items) {
    size_t n = 0;
    for (int i = 0; i < k->n; i++) n += k->contributor[i].list(k->contributor[i].owner, items + n);
    return n;
}

static int take_saved(void *self, const mt_message *m) {
    mt_checkpointing *k = self;
    lopt_error theirs;
    memcpy(&theirs, m->data, sizeof theirs);
    if (theirs.status != LOPT_OK && k->answer.status == LOPT_OK) k->answer = theirs;
    k->pending--;
    return 1;
}

/* Every rank, this one included, writes its shard. */
static int save_shards(mt_checkpointing *k, const mt_save_order *order, mt_work *work, void *worker, lopt_error *err) {
    k->answer.status = LOPT_OK;
    k->pending = k->session->members.n_live;
    mt_post_to_live(&k->session->dispatch, MT_TAG_SAVE, order, sizeof *order);
    if (!mt_wait_for(&k->session->dispatch, &k->pending, work, worker))
        return mt_error(err, LOPT_EIO, "a rank was lost while a checkpoint was written");
    if (k->answer.status == LOPT_OK) return 1;
    *err = k->answer;
    return 0;
}

int mt_save_checkpoint(mt_checkpointing *k, int64_t step, mt_work *work, void *worker, lopt_error *err) {
    const mt_session *s = k->session;
    mt_item items[MT_CONTRIBUTORS * MT_CONTRIBUTED_ITEMS + 1];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    mt_save_order order = {step, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
    if (!s->dir[0]) return 1;
    char *text = mt_config_text(s->cfg);
    int ok = text ? mt_checkpoint_begin(s->dir, step, order.attempt, err)
                  : mt_error(err, LOPT_ENOMEM, "out of memory for a checkpoint");
    ok = ok && save_shards(k, &order, work, worker, err);
    if (ok) {
        size_t n = list_all_items(k, items);
        items[n++] = (mt_item){"config", MT_BYTES, text, strlen(text)};
        ok = mt_checkpoint_commit(s->dir, step, order.attempt, s->members.n_live, items, n, s->cfg->checkpoint.keep,
                                  err);
    }
    free(text);
    return ok;
}

int mt_restore_checkpoint(mt_checkpointing *k, int64_t step, lopt_error *err) {
    mt_item items[MT_CONTRIBUTORS * MT_CONTRIBUTED_ITEMS];
    size_t n = list_all_items(k, items);
    int ok = mt_checkpoint_read_run(k->session->dir, step, items, n, err);
    for (int i = 0; ok && i < k->n; i++)
        if (k->contributor[i].restored) ok = k->contributor[i].restored(k->contributor[i].owner, step, err);
    return ok;
}

void mt_checkpointing_open(mt_checkpointing *k, mt_session *s) {
    *k = (mt_checkpointing){.session = s};
    mt_register_handler(&s->dispatch, MT_TAG_SAVED, take_saved, k, sizeof(lopt_error), sizeof(lopt_error));
}
