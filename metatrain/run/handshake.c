/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake.c - see handshake.h. */
#include "run/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- rank 0 ---------------------------------------------------------------------------------- */

/* Step to resume from, folder, configuration, the strings each with its closing zero. */
void mt_send_setup(mt_session *s, int64_t resume_step) {
    if (s->transport->size == 1) return;
    char *text = mt_config_text(s->cfg);
    if (!text) mt_abort_without_memory(s->transport, "the configuration");
    size_t dir = strlen(s->dir) + 1, config = strlen(text) + 1, bytes = sizeof resume_step + dir + config;
    char *message = malloc(bytes);
    if (!message) mt_abort_without_memory(s->transport, "the configuration");
    memcpy(message, &resume_step, sizeof resume_step);
    memcpy(message + sizeof resume_step, s->dir, dir);
    memcpy(message + sizeof resume_step + dir, text, config);
    mt_send_to_all(s->transport, s->members.live + 1, s->members.n_live - 1, MT_TAG_SETUP, message, bytes);
    free(message);
    free(text);
}

typedef struct answers {
    const mt_config *cfg;
    int64_t pending;
    lopt_error first; /* that was a failure */
    mt_particle_counters *at;
} answers;

static int take_ready(void *self, const mt_message *m) {
    answers *a = self;
    lopt_error theirs;
    mt_particle_counters at;
    memcpy(&theirs, m->data, sizeof theirs);
    if (theirs.status != LOPT_OK && a->first.status == LOPT_OK) a->first = theirs;
    for (size_t i = sizeof theirs; i + sizeof at <= m->n; i += sizeof at) {
        memcpy(&at, (const char *)m->data + i, sizeof at);
        if (!mt_check_counters(a->cfg, &at)) return 0;
        a->at[at.number] = at;
    }
    a->pending--;
    return 1;
}

int mt_wait_ready(mt_session *s, mt_particle_counters *at, lopt_error *err) {
    answers a = {.cfg = s->cfg, .pending = s->members.n_live, .at = at};
    mt_register_handler(&s->dispatch, MT_TAG_READY, take_ready, &a, sizeof(lopt_error), SIZE_MAX);
    int all = mt_wait_for(&s->dispatch, &a.pending, NULL, NULL);
    mt_register_handler(&s->dispatch, MT_TAG_READY, NULL, NULL, 0, 0);
    if (!all) return mt_error(err, LOPT_EIO, "a rank died while it was getting ready");
    if (a.first.status == LOPT_OK) return 1;
    *err = a.first;
    return 0;
}

void mt_dismiss_workers(mt_session *s, int status) {
    int32_t end[2] = {status, s->members.ever_failed > 0};
    mt_send_to_all(s->transport, s->members.live + 1, s->members.n_live - 1, MT_TAG_END, end, sizeof end);
}

/* ---- the others ------------------------------------------------------------------------------ */

typedef struct setup {
    mt_session *session;
    int64_t resume_step;
    int came, ended, status;
    lopt_error *err;
} setup;

static int take_setup(void *self, const mt_message *m) {
    setup *to = self;
    mt_session *s = to->session;
    const char *text = m->data, *dir = text + sizeof to->resume_step;
    if (text[m->n - 1] != 0 || dir + strlen(dir) + 1 >= text + m->n) return 0;
    memcpy(&to->resume_step, text, sizeof to->resume_step);
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    s->cfg = mt_config_parse(dir + strlen(dir) + 1, "the coordinator's configuration", NULL, 0, to->err);
    to->came = 1;
    return 1;
}

static int take_early_end(void *self, const mt_message *m) {
    setup *to = self;
    int32_t end[2];
    memcpy(end, m->data, sizeof end);
    to->ended = 1;
    to->status = end[0];
    return 1;
}

int mt_receive_setup(mt_session *s, int64_t *resume_step, int *status, lopt_error *err) {
    setup to = {.session = s, .status = MT_STOPPED, .err = err};
    mt_register_handler(&s->dispatch, MT_TAG_SETUP, take_setup, &to, sizeof *resume_step + 2, SIZE_MAX);
    mt_register_handler(&s->dispatch, MT_TAG_END, take_early_end, &to, 2 * sizeof(int32_t), 2 * sizeof(int32_t));
    for (int idle_polls = 0; !to.came && !to.ended && !s->members.coordinator_failed;)
        if (mt_poll_messages(&s->dispatch) > 0)
            idle_polls = 0;
        else
            mt_rest_transport(s->transport, idle_polls++);
    mt_register_handler(&s->dispatch, MT_TAG_SETUP, NULL, NULL, 0, 0);
    mt_register_handler(&s->dispatch, MT_TAG_END, NULL, NULL, 0, 0);
    *resume_step = to.resume_step;
    *status = to.status;
    return to.came && !to.ended;
}
