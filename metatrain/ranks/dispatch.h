/* SPDX-License-Identifier: Apache-2.0
 *
 * dispatch.h - who handles which message. Each owner registers its own:
 *
 *     mt_register_handler(&d, MT_TAG_SAVE, take_save, worker, sizeof(mt_save_order), sizeof(mt_save_order));
 *     mt_post_message(&d, to, tag, data, n);          to this rank too: handled at its next poll
 *     mt_poll_messages(&d);                           handles what has arrived
 *     mt_wait_for(&d, &pending, work, self);          polls and works until nothing is pending
 *
 * Handlers run inside mt_poll_messages alone and never call it: they take what came, count, and post. A message of a
 * size outside its bounds, one that its handler refuses, or one that nobody handles is a bug, and ends every rank. */
#ifndef MT_DISPATCH_H
#define MT_DISPATCH_H

#include "ranks/membership.h"
#include "ranks/messages.h"

typedef int mt_handler(void *self, const mt_message *m); /* 0: the message is malformed */
typedef int mt_work(void *self);                         /* a slice of work; 0: there is none */

typedef struct mt_dispatch {
    mt_membership *membership; /* borrowed, with its transport */
    struct {
        mt_handler *handle;
        void *self;
        size_t min_bytes, max_bytes;
    } entry[MT_N_TAGS];
    struct mt_posted *first, **last; /* to this rank, in order */
    double next_poll;
    double message_seconds; /* CPU seconds that a message of another rank takes here, running mean */
} mt_dispatch;

void mt_dispatch_open(mt_dispatch *d, mt_membership *membership);
void mt_dispatch_close(mt_dispatch *d);
void mt_register_handler(mt_dispatch *d, mt_tag tag, mt_handler *handle, void *self, size_t min_bytes,
                         size_t max_bytes);

void mt_post_message(mt_dispatch *d, int to, mt_tag tag, const void *data, size_t n);
void mt_post_to_live(mt_dispatch *d, mt_tag tag, const void *data, size_t n); /* every living rank, this one too */
/* To this rank's children in the tree of the first `places` living ranks (membership.h). */
void mt_post_down_tree(mt_dispatch *d, int places, mt_tag tag, const void *data, size_t n);

int mt_poll_messages(mt_dispatch *d); /* how many were handled */
/* Whether a slice of work has lasted long enough. Never where this rank is alone. */
int mt_poll_is_due(const mt_dispatch *d);
/* Until *pending is 0, or a rank failed: then 0. work may be NULL. */
int mt_wait_for(mt_dispatch *d, const int64_t *pending, mt_work *work, void *self);

#endif
