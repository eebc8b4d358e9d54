/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_write.c - a struct that a schema describes as YAML, through libyaml's emitter, which
 * knows what must be quoted. What it writes loads to the same struct. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/scalar.h"
#include "config/schema.h"

/* ---- values ---------------------------------------------------------------------------------- */

/* One value as the words a reader would write; texts are returned as they are. */
static const char *format_key_value(const mt_key *key, const char *at, char text[64]) {
    switch (key->type) {
    case MT_KEY_INTEGER:
        snprintf(text, 64, "%lld", key->bytes == sizeof(int) ? *(const int *)at : (long long)*(const int64_t *)at);
        return text;
    case MT_KEY_SEED:
        snprintf(text, 64, "%llu", (unsigned long long)*(const uint64_t *)at);
        return text;
    case MT_KEY_NUMBER:
        mt_number_text(*(const double *)at, text);
        return text;
    case MT_KEY_CHOICE:
        task_choice_word(key->range, *(const int *)at, text, 64);
        return text;
    default:
        return at;
    }
}

static int count_list_values(const mt_key *key, const char *from) {
    return key->n_at == MT_NOWHERE ? key->max_n : *(const int *)(from + key->n_at);
}

char *mt_key_text(const mt_key *key, const void *from) {
    char *out = NULL, text[64];
    size_t size;
    FILE *f = open_memstream(&out, &size);
    if (!f) return NULL;
    int n = key->max_n ? count_list_values(key, from) : 1;
    if (key->max_n) fputc('[', f);
    for (int i = 0; i < n; i++)
        fprintf(f, "%s%s", i ? ", " : "",
                format_key_value(key, (const char *)from + key->at + (size_t)i * key->bytes, text));
    if (key->max_n) fputc(']', f);
    int failed = fclose(f);
    if (failed) {
        free(out);
        return NULL;
    }
    return out;
}

/* ---- the emitter ----------------------------------------------------------------------------- */

typedef struct writer {
    yaml_emitter_t emitter;
    int ok;
} writer;

static int write_yaml_bytes(void *file, unsigned char *bytes, size_t n) {
    return fwrite(bytes, 1, n, file) == n;
}

/* made: whether the event could be initialised. The emitter owns it from here on, also when it
 * fails. */
static void emit_yaml_event(writer *w, int made, yaml_event_t *event) {
    if (!made)
        w->ok = 0;
    else if (w->ok)
        w->ok = yaml_emitter_emit(&w->emitter, event);
    else
        yaml_event_delete(event);
}

static void write_yaml_scalar(writer *w, const char *text, size_t n) {
    yaml_event_t e;
    emit_yaml_event(
        w, yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)text, (int)n, 1, 1, YAML_ANY_SCALAR_STYLE),
        &e);
}

static void write_yaml_word(writer *w, const char *text) {
    write_yaml_scalar(w, text, strlen(text));
}

static void begin_yaml_map(writer *w) {
    yaml_event_t e;
    emit_yaml_event(w, yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE), &e);
}

static void end_yaml_map(writer *w) {
    yaml_event_t e;
    emit_yaml_event(w, yaml_mapping_end_event_initialize(&e), &e);
}

static void begin_yaml_list(writer *w, yaml_sequence_style_t style) {
    yaml_event_t e;
    emit_yaml_event(w, yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, style), &e);
}

static void end_yaml_list(writer *w) {
    yaml_event_t e;
    emit_yaml_event(w, yaml_sequence_end_event_initialize(&e), &e);
}

/* ---- structs --------------------------------------------------------------------------------- */

static void write_schema_keys(writer *w, const mt_schema *schema, const char *from);

static void write_key_value(writer *w, const mt_key *key, const char *from) {
    char text[64];
    size_t stride = key->items ? key->items->bytes : key->bytes;
    if (!key->max_n) {
        write_yaml_word(w, format_key_value(key, from + key->at, text));
        return;
    }
    begin_yaml_list(w, key->items ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE);
    for (int i = 0, n = count_list_values(key, from); i < n; i++) {
        const char *at = from + key->at + (size_t)i * stride;
        if (key->items) {
            begin_yaml_map(w);
            write_schema_keys(w, key->items, at);
            end_yaml_map(w);
        } else {
            write_yaml_word(w, format_key_value(key, at, text));
        }
    }
    end_yaml_list(w);
}

static void write_hyper_settings(writer *w, const mt_optimizer_config *opt, int swept) {
    for (int i = 0; i < opt->n_settings; i++) {
        const char *value = opt->settings[i].value;
        mt_yaml *node = mt_yaml_read(value, strlen(value), "setting", NULL);
        write_yaml_word(w, opt->settings[i].name);
        if (node && node->kind == MT_YAML_LIST) {
            begin_yaml_list(w, YAML_FLOW_SEQUENCE_STYLE);
            for (size_t k = 0; k < node->n; k++) write_yaml_word(w, node->child[k]->text);
            end_yaml_list(w);
        } else {
            write_yaml_word(w, value);
        }
        mt_yaml_free(node);
    }
    if (swept) {
        write_yaml_word(w, "learning_rate");
        write_yaml_word(w, "sweep");
    }
}

static int count_path_dots(const char *path) {
    int depth = 0;
    for (; *path; path++) depth += *path == '.';
    return depth;
}

/* Length of the sections that two paths share: "a.b.c" and "a.b.d" share "a.b.". */
static size_t shared_sections(const char *a, const char *b) {
    size_t n = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '.') n = i + 1;
    return n;
}

/* Keys of a section stand together in the table, so sections open and close between neighbours. */
static void write_schema_keys(writer *w, const mt_schema *schema, const char *from) {
    const char *before = "";
    for (mt_key_walk walk = {.schema = schema}; mt_next_key(&walk);) {
        const mt_key *key = &walk.key;
        size_t shared = shared_sections(before, key->path);
        const char *name = key->path + shared;
        for (int d = count_path_dots(before + shared); d > 0; d--) end_yaml_map(w);
        for (; strchr(name, '.'); name += strcspn(name, ".") + 1) {
            write_yaml_scalar(w, name, strcspn(name, "."));
            begin_yaml_map(w);
        }
        if (key->type == MT_KEY_SETTINGS) {
            int swept = key->n_at != MT_NOWHERE && *(const int *)(from + key->n_at);
            write_hyper_settings(w, (const void *)(from + key->at), swept);
        } else {
            write_yaml_word(w, name);
            write_key_value(w, key, from);
        }
        before = key->path;
    }
    for (int d = count_path_dots(before); d > 0; d--) end_yaml_map(w);
}

static void write_yaml_document(writer *w, const mt_schema *schema, const void *from) {
    yaml_event_t e;
    emit_yaml_event(w, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING), &e);
    emit_yaml_event(w, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1), &e);
    begin_yaml_map(w);
    write_schema_keys(w, schema, from);
    end_yaml_map(w);
    emit_yaml_event(w, yaml_document_end_event_initialize(&e, 1), &e);
    emit_yaml_event(w, yaml_stream_end_event_initialize(&e), &e);
}

char *mt_schema_text(const mt_schema *schema, const void *from) {
    writer w = {.ok = 0};
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    if (!f) return NULL;
    if (yaml_emitter_initialize(&w.emitter)) {
        w.ok = 1;
        yaml_emitter_set_output(&w.emitter, write_yaml_bytes, f);
        yaml_emitter_set_width(&w.emitter, -1);
        yaml_emitter_set_unicode(&w.emitter, 1);
        write_yaml_document(&w, schema, from);
        yaml_emitter_delete(&w.emitter);
    }
    int failed = fclose(f) || !w.ok;
    if (failed) {
        free(out);
        return NULL;
    }
    return out;
}
