/* SPDX-License-Identifier: Apache-2.0
 *
 * session.c - see session.h. */
#include "run/session.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/theta_file.h"

int mt_session_open(mt_session *s, mt_transport *transport, lopt_error *err) {
    *s = (mt_session){.transport = transport};
    if (!mt_membership_open(&s->members, transport, err)) {
        mt_close_transport(transport, 0, MT_FAILED);
        return 0;
    }
    mt_dispatch_open(&s->dispatch, &s->members);
    return 1;
}

void mt_session_close(mt_session *s, int status) {
    int lost = s->members.ever_failed > 0;
    mt_dispatch_close(&s->dispatch);
    mt_membership_close(&s->members);
    mt_config_free(s->cfg);
    mt_close_transport(s->transport, lost, status);
    *s = (mt_session){0};
}

/* ---- theta ----------------------------------------------------------------------------------- */

/* Copies every block of a theta file into t->value by name; blocks it lacks keep their random
 * start. */
static int start_from_file(mt_meta_theta *t, const mt_config *cfg, lopt_error *err) {
    mt_theta_file *file = mt_theta_file_read(cfg->init, err);
    if (!file) return 0;
    int ok = 1;
    size_t found = 0;
    for (size_t i = 0; ok && i < lopt_n_blocks(t->optimizer); i++) {
        const lopt_block *to = lopt_block_at(t->optimizer, i), *from = lopt_block_find(file->optimizer, to->name);
        if (!from) continue;
        found++;
        if (from->size != to->size || from->rank != to->rank ||
            memcmp(from->dim, to->dim, sizeof(int64_t) * (size_t)to->rank))
            ok = mt_error(err, LOPT_EARG,
                          "%s: optimizer.init: block %s of %s has another shape than %s of this "
                          "configuration",
                          cfg->file, from->name, cfg->init, lopt_info(t->optimizer)->name);
        else
            memcpy(t->value + to->offset, lopt_theta(file->optimizer) + from->offset, to->size * sizeof(float));
    }
    if (ok && !found)
        ok = mt_error(err, LOPT_EARG, "%s: optimizer.init: %s (%s) has no block of %s", cfg->file, cfg->init,
                      lopt_info(file->optimizer)->name, lopt_info(t->optimizer)->name);
    mt_theta_file_free(file);
    return ok;
}

/* trained[i] = 0 where a pattern of optimizer.freeze matches the block's name. */
static int mark_frozen(mt_meta_theta *t, const mt_config *cfg, lopt_error *err) {
    for (size_t i = 0; i < t->n; i++) t->trainable[i] = 1;
    for (int k = 0; k < cfg->n_freeze; k++) {
        int found = 0;
        for (size_t i = 0; i < lopt_n_blocks(t->optimizer); i++) {
            const lopt_block *b = lopt_block_at(t->optimizer, i);
            if (fnmatch(cfg->freeze[k], b->name, 0)) continue;
            found = 1;
            for (size_t j = 0; j < b->size; j++) t->trainable[b->offset + j] = 0;
        }
        if (!found)
            return mt_error(err, LOPT_EARG, "%s: optimizer.freeze: no block of %s matches \"%s\"", cfg->file,
                            lopt_info(t->optimizer)->name, cfg->freeze[k]);
    }
    return 1;
}

int mt_meta_theta_open(mt_meta_theta *t, const mt_config *cfg, int resumed, lopt_error *err) {
    *t = (mt_meta_theta){0};
    t->optimizer = mt_optimizer_create(&cfg->optimizer, cfg->file, err);
    if (!t->optimizer) return 0;
    size_t n = t->n = lopt_n_theta(t->optimizer);
    if (n == 0)
        return mt_error(err, LOPT_EARG,
                        "%s: optimizer.name: %s has no theta to meta-train; `metatrain list "
                        "optimizers` shows those that have",
                        cfg->file, cfg->optimizer.name);
    t->value = malloc(n * sizeof(float));
    t->trainable = malloc(n);
    if (!t->value || !t->trainable) return mt_error(err, LOPT_ENOMEM, "out of memory for a theta of %zu parameters", n);
    lopt_init_theta(t->optimizer, cfg->seed, t->value);
    return mark_frozen(t, cfg, err) && (resumed || cfg->init[0] == 0 || start_from_file(t, cfg, err));
}

void mt_meta_theta_close(mt_meta_theta *t) {
    lopt_destroy(t->optimizer);
    free(t->value);
    free(t->trainable);
    *t = (mt_meta_theta){0};
}
