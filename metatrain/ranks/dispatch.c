/* SPDX-License-Identifier: Apache-2.0
 *
 * dispatch.c - see dispatch.h. */
#include "ranks/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

#define POLL_SECONDS 200e-6 /* between polls while there is work */
#define MESSAGES 1000       /* handled in a poll: a flood of them must not keep a rank from its work */

/* A message to this rank. */
struct mt_posted {
    struct mt_posted *next;
    mt_message message;
};

void mt_dispatch_open(mt_dispatch *d, mt_membership *membership) {
    *d = (mt_dispatch){.membership = membership};
    d->last = &d->first;
}

void mt_dispatch_close(mt_dispatch *d) {
    for (struct mt_posted *p = d->first, *next; p; p = next) {
        next = p->next;
        free(p->message.data);
        free(p);
    }
    *d = (mt_dispatch){0};
}

void mt_register_handler(mt_dispatch *d, mt_tag tag, mt_handler *handle, void *self, size_t min_bytes,
                         size_t max_bytes) {
    d->entry[tag].handle = handle;
    d->entry[tag].self = self;
    d->entry[tag].min_bytes = min_bytes;
    d->entry[tag].max_bytes = max_bytes;
}

/* ---- posting --------------------------------------------------------------------------------- */

static void post_to_self(mt_dispatch *d, mt_tag tag, const void *data, size_t n) {
    mt_transport *t = d->membership->transport;
    struct mt_posted *p = malloc(sizeof *p);
    void *copy = malloc(n + 1);
    if (!p || !copy) mt_abort_without_memory(t, "a message");
    if (n) memcpy(copy, data, n);
    *p = (struct mt_posted){.message = {.from = t->rank, .tag = (int)tag, .epoch = t->epoch, .n = n, .data = copy}};
    *d->last = p;
    d->last = &p->next;
}

void mt_post_message(mt_dispatch *d, int to, mt_tag tag, const void *data, size_t n) {
    if (to == d->membership->transport->rank)
        post_to_self(d, tag, data, n);
    else
        mt_send_message(d->membership->transport, to, (int)tag, data, n);
}

void mt_post_to_live(mt_dispatch *d, mt_tag tag, const void *data, size_t n) {
    for (int i = 0; i < d->membership->n_live; i++) mt_post_message(d, d->membership->live[i], tag, data, n);
}

void mt_post_down_tree(mt_dispatch *d, int places, mt_tag tag, const void *data, size_t n) {
    int children[MT_TREE_CHILDREN], n_children = mt_list_children(d->membership, places, children);
    mt_send_to_all(d->membership->transport, children, n_children, (int)tag, data, n);
}

/* ---- handling -------------------------------------------------------------------------------- */

static void handle_message(mt_dispatch *d, const mt_message *m) {
    mt_transport *t = d->membership->transport;
    int known = m->tag > 0 && m->tag < MT_N_TAGS && d->entry[m->tag].handle;
    if (known && m->n >= d->entry[m->tag].min_bytes && m->n <= d->entry[m->tag].max_bytes &&
        d->entry[m->tag].handle(d->entry[m->tag].self, m))
        return;
    fprintf(stderr, "metatrain: rank %d: message %d of %zu bytes from rank %d is malformed\n", t->rank, m->tag, m->n,
            m->from);
    mt_abort_ranks(t, MT_FAILED);
}

/* What handlers post meanwhile waits for the next poll. */
static int handle_posted(mt_dispatch *d) {
    int n = 0;
    struct mt_posted *p = d->first, *next;
    d->first = NULL;
    d->last = &d->first;
    for (; p; p = next, n++) {
        next = p->next;
        if (p->message.epoch >= d->membership->transport->epoch) handle_message(d, &p->message);
        free(p->message.data);
        free(p);
    }
    return n;
}

int mt_poll_messages(mt_dispatch *d) {
    mt_membership *members = d->membership;
    mt_transport *t = members->transport;
    mt_message m;
    int posted = handle_posted(d), n = 0;
    if (t->size == 1) return posted;
    double start = mt_process_seconds();
    d->next_poll = mt_transport_seconds(t) + POLL_SECONDS;
    for (; n < MESSAGES && mt_take_message(t, &m); n++) {
        if (mt_take_heartbeat(members, &m)) continue;
        if (members->index[m.from] >= 0) handle_message(d, &m);
        free(m.data);
    }
    if (n > 0) d->message_seconds += 0.01 * ((mt_process_seconds() - start) / n - d->message_seconds);
    mt_send_heartbeats(members);
    return posted + n;
}

int mt_poll_is_due(const mt_dispatch *d) {
    const mt_transport *t = d->membership->transport;
    return t->size > 1 && mt_transport_seconds(t) > d->next_poll;
}

int mt_wait_for(mt_dispatch *d, const int64_t *pending, mt_work *work, void *self) {
    for (int idle_polls = 0; *pending > 0 && d->membership->n_failed == 0;) {
        int busy = mt_poll_messages(d) > 0;
        if (*pending <= 0) break;
        if ((work && work(self)) || busy)
            idle_polls = 0;
        else
            mt_rest_transport(d->membership->transport, idle_polls++);
    }
    return d->membership->n_failed == 0;
}
