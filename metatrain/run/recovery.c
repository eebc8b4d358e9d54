/* SPDX-License-Identifier: Apache-2.0
 *
 * recovery.c - rank 0: particles are assigned to ranks, at the start and when ranks were lost. See coordinator.h.
 *
 * No rank reports its death. Rank 0 notices it (membership.h), raises the epoch, so that what was sent before is
 * ignored, and tells the others to return to the newest checkpoint (RESTART): theta and all particles. The result is
 * that of the undisturbed run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "run/coordinator.h"
#include "run/handshake.h"

/* Open MPI ends a job in which a process died, unless told otherwise. */
static int survives_deaths(void) {
    const char *recovery = getenv("OMPI_MCA_orte_enable_recovery");
    return !getenv("OMPI_COMM_WORLD_SIZE") || (recovery && strcmp(recovery, "1") == 0);
}

/* Those that are still there, only slow, are told to leave. */
static void remove_failed_ranks(mt_session *s) {
    int32_t end[2] = {MT_STOPPED, 1};
    s->transport->epoch++;
    for (int i = 1; i < s->members.n_live; i++) {
        int rank = s->members.live[i];
        if (!s->members.failed[rank]) continue;
        mt_send_message(s->transport, rank, MT_TAG_END, end, sizeof end);
        s->transport->ops->give_up(s->transport, rank);
    }
    mt_remove_failed(&s->members);
}

_Static_assert(sizeof(int) == sizeof(int32_t), "ranks are sent as they are");

static void post_restart(mt_session *s, int64_t step) {
    size_t bytes = sizeof step + (size_t)s->members.n_live * sizeof(int32_t);
    char *message = malloc(bytes);
    if (!message) mt_abort_without_memory(s->transport, "a message");
    memcpy(message, &step, sizeof step);
    memcpy(message + sizeof step, s->members.live, (size_t)s->members.n_live * sizeof(int32_t));
    mt_post_to_live(&s->dispatch, MT_TAG_RESTART, message, bytes);
    free(message);
}

int mt_assign_ranks(mt_coordinator *c, int64_t step, lopt_error *err) {
    c->mode->assigned(c);
    if (!mt_assign_evenly(&c->assignment, err) || (step >= 0 && !mt_restore_checkpoint(&c->checkpoints, step, err)))
        return 0;
    if (!mt_wait_ready(c->session, c->assignment.at, err)) return 0;
    if (step >= 0) mt_send_sums(&c->worker->gradient);
    return 1;
}

int mt_recover_ranks(mt_coordinator *c, lopt_error *err) {
    mt_session *s = c->session;
    int64_t step = -1;
    int ok = 1;
    if (s->members.n_died > 0 && !survives_deaths())
        return mt_error(err, LOPT_EIO,
                        "a rank died, and mpirun without --enable-recovery ends the others; go on with: metatrain "
                        "train --resume --out %s",
                        s->dir);
    while (ok && s->members.n_failed > 0) {
        remove_failed_ranks(s);
        if (s->dir[0] && !mt_checkpoint_find(s->dir, &step, mt_print_warning, err)) return 0;
        if (step < 0)
            return mt_error(err, LOPT_EIO, "%s: ranks were lost and there is no checkpoint to return to", s->dir);
        post_restart(s, step);
        ok = mt_assign_ranks(c, step, err) || s->members.n_failed > 0;
    }
    if (!ok) return 0;
    fprintf(stderr, "metatrain: going on from outer step %lld with %d rank%s\n", (long long)step, s->members.n_live,
            s->members.n_live > 1 ? "s" : "");
    lopt_error why;
    mt_warn_on_error(mt_start_outputs(&c->outputs, step, &why), &why);
    return 1;
}
