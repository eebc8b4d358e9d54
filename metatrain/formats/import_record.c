/* SPDX-License-Identifier: Apache-2.0
 *
 * import_record.c - see import_record.h. */
#include "formats/import_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Both texts copied to *to_name, *to_value; neither on failure. */
static int copy_pair(const char *name, const char *value, char **to_name, char **to_value, const mt_import *in,
                     lopt_error *err) {
    char *n = strdup(name), *v = strdup(value);
    if (n && v) {
        *to_name = n;
        *to_value = v;
        return 1;
    }
    free(n);
    free(v);
    return mt_error(err, LOPT_ENOMEM, "%s: out of memory", in->arrays->source);
}

int mt_import_setting(mt_import *in, const char *name, const char *value, lopt_error *err) {
    size_t i = in->n_settings;
    if (i == MT_IMPORT_SETTINGS)
        return mt_error(err, LOPT_EARG, "%s: has more than %d settings", in->arrays->source, MT_IMPORT_SETTINGS);
    in->n_settings += (size_t)copy_pair(name, value, &in->setting_name[i], &in->setting_value[i], in, err);
    return in->n_settings > i;
}

int mt_import_note(mt_import *in, const char *name, const char *value, lopt_error *err) {
    int i = in->n_notes;
    if (i == MT_MAX_PROVENANCE)
        return mt_error(err, LOPT_EARG, "%s: has more than %d notes of provenance", in->arrays->source,
                        MT_MAX_PROVENANCE);
    in->n_notes += copy_pair(name, value, &in->note_name[i], &in->note_value[i], in, err);
    return in->n_notes > i;
}

/* Learned decays are theta's block NAMEs, which starts from the setting NAME_offsets. */
static void print_imported_offsets(FILE *f, const mt_places *places, const lopt_optimizer *opt) {
    for (size_t i = 0; i < lopt_n_blocks(opt); i++) {
        const lopt_block *b = lopt_block_at(opt, i);
        mt_place place;
        if (places->find(opt, b, &place)) continue;
        fprintf(f, " --set '%.*s_offsets=%s", (int)strlen(b->name) - 1, b->name, b->size > 1 ? "[" : "");
        for (size_t k = 0; k < b->size; k++)
            fprintf(f, "%s%.9g", k ? ", " : "", (double)lopt_theta(opt)[b->offset + k]);
        fprintf(f, "%s'", b->size > 1 ? "]" : "");
    }
}

static int is_offset_of_missing_block(const char *setting, const mt_places *places, const lopt_optimizer *opt) {
    char name[64];
    const char *end = strstr(setting, "_offsets");
    mt_place place;
    if (!end) return 0;
    snprintf(name, sizeof name, "%.*ss", (int)(end - setting), setting);
    const lopt_block *b = lopt_block_find(opt, name);
    return b && !places->find(opt, b, &place);
}

void mt_import_print_command(FILE *f, const char *path, const mt_places *places, const lopt_optimizer *opt) {
    const char *preset = lopt_info(opt)->name;
    lopt_optimizer *plain = lopt_create(preset, NULL, 0, NULL);
    lopt_hyper_info hyper;
    fprintf(f, "back again: metatrain import %s --from %s --optimizer %s", path, places->format, preset);
    for (size_t i = 0; plain && lopt_hyper(preset, i, &hyper); i++) {
        char value[256], usual[256];
        lopt_get(opt, hyper.name, value, sizeof value);
        lopt_get(plain, hyper.name, usual, sizeof usual);
        if (strcmp(value, usual) != 0 && !is_offset_of_missing_block(hyper.name, places, opt))
            fprintf(f, " --set '%s=%s'", hyper.name, value);
    }
    print_imported_offsets(f, places, opt);
    fputs(" --out THETA.h5\n", f);
    lopt_destroy(plain);
}
