/* SPDX-License-Identifier: Apache-2.0
 *
 * transport.c - see transport.h: epochs, which every network has alike. */
#include "ranks/transport.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* What a message begins with. */
typedef struct envelope {
    int64_t epoch;
} envelope;

void mt_send_to_all(mt_transport *t, const int *to, int n_to, int tag, const void *data, size_t n) {
    envelope head = {t->epoch};
    if (n_to == 0) return;
    if (n > INT_MAX - sizeof head) {
        fprintf(stderr, "metatrain: a message of %zu bytes is longer than MPI can send\n", n);
        mt_abort_ranks(t, MT_FAILED);
    }
    t->ops->send(t, to, n_to, tag, &head, sizeof head, data, n);
}

void mt_send_message(mt_transport *t, int to, int tag, const void *data, size_t n) {
    mt_send_to_all(t, &to, 1, tag, data, n);
}

/* from: -1 for any rank. */
static int take_from(mt_transport *t, int from, mt_message *message) {
    envelope head;
    while (t->ops->take(t, from, message)) {
        if (message->n >= sizeof head) {
            memcpy(&head, message->data, sizeof head);
            message->epoch = head.epoch;
            message->n -= sizeof head;
            memmove(message->data, (char *)message->data + sizeof head, message->n);
            if (head.epoch >= t->epoch) return 1;
        }
        free(message->data);
    }
    return 0;
}

int mt_take_message(mt_transport *t, mt_message *message) {
    return take_from(t, -1, message);
}

void *mt_receive_message(mt_transport *t, int from, int tag, size_t *n) {
    mt_message m;
    for (int idle_polls = 0; !take_from(t, from, &m); idle_polls++) mt_rest_transport(t, idle_polls);
    if (m.tag != tag) {
        fprintf(stderr, "metatrain: rank %d: message %d from rank %d, expected %d\n", t->rank, m.tag, from, tag);
        mt_abort_ranks(t, MT_FAILED);
    }
    *n = m.n;
    return m.data;
}

void mt_rest_transport(const mt_transport *t, int idle_polls) {
    t->ops->rest((mt_transport *)t, idle_polls);
}

double mt_transport_seconds(const mt_transport *t) {
    return t->ops->now(t);
}

void mt_close_transport(mt_transport *t, int lost, int status) {
    if (t) t->ops->close(t, lost, status);
}

void mt_abort_ranks(mt_transport *t, int status) {
    t->ops->abort(t, status);
    abort(); /* not reached */
}

void mt_abort_without_memory(mt_transport *t, const char *what) {
    fprintf(stderr, "metatrain: rank %d: out of memory for %s\n", t->rank, what);
    mt_abort_ranks(t, MT_FAILED);
}
