/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.c - see schema.h. */
#include "config/schema.h"

#include <stdarg.h>
#include <string.h>

void mt_key_path(char path[MT_KEY_PATH], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(path, MT_KEY_PATH, format, args);
    va_end(args);
}

int mt_item_error(const mt_key_item *item, const char *key, const char *format, ...) {
    char path[MT_KEY_PATH], text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mt_key_path(path, "%s%s", item->path, key);
    return mt_yaml_error(item->err, mt_yaml_nearest(item->node, key), path, "%s", text);
}

static mt_key key_of_task_setting(const task_setting *s, size_t spec_at) {
    static const mt_key_type types[] = {[TASK_SETTING_INTEGER] = MT_KEY_INTEGER,
                                        [TASK_SETTING_NUMBER] = MT_KEY_NUMBER,
                                        [TASK_SETTING_CHOICE] = MT_KEY_CHOICE,
                                        [TASK_SETTING_TEXT] = MT_KEY_TEXT};
    return (mt_key){.path = s->key,
                    .type = types[s->type],
                    .at = spec_at + s->at,
                    .bytes = s->bytes,
                    .max_n = s->max_n,
                    .n_at = s->n_at == TASK_EXACTLY ? MT_NOWHERE : spec_at + s->n_at,
                    .range = s->range,
                    .unit = s->unit,
                    .help = s->help};
}

int mt_next_key(mt_key_walk *w) {
    for (; w->i < w->schema->n; w->i++) {
        const mt_key *row = &w->schema->keys[w->i];
        const task_setting *s;
        if (row->type != MT_KEY_TASK) {
            w->key = *row;
            w->i++;
            return 1;
        }
        while ((s = task_setting_at(w->setting++))) {
            if (task_setting_find(s->key) + 1 != w->setting) continue; /* a key that several kinds have */
            w->key = key_of_task_setting(s, row->at);
            return 1;
        }
    }
    return 0;
}

int mt_find_key(const mt_schema *schema, const char *path, mt_key *key) {
    for (size_t i = 0; i < schema->n; i++) {
        const mt_key *row = &schema->keys[i];
        const task_setting *s = row->type == MT_KEY_TASK ? task_setting_at(task_setting_find(path)) : NULL;
        if (!s && (row->type == MT_KEY_TASK || strcmp(row->path, path) != 0)) continue;
        *key = s ? key_of_task_setting(s, row->at) : *row;
        return 1;
    }
    return 0;
}
