/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: any bytes as safetensors, with our names and with PyLO's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void import_as(const mt_places *places, const uint8_t *data, size_t size, FILE *notes) {
    lopt_error err = {LOPT_OK, ""};
    lopt_setting small = {"hidden_size", "1"};
    lopt_optimizer *opt = lopt_create("elo", &small, 1, &err);
    mt_arrays *arrays = mt_arrays_create("fuzz", &err);
    json_t *metadata = NULL;
    int ok = mt_safetensors_parse(arrays, "fuzz", data, size, &metadata, &err) && mt_arrays_finish(arrays, &err) &&
             mt_arrays_to_theta(arrays, places, opt, notes, &err);
    if (!ok && (err.status == LOPT_OK || strncmp(err.text, "fuzz: ", 6) != 0))
        abort(); /* a refusal is a sentence that names the file */
    json_decref(metadata);
    mt_arrays_free(arrays);
    lopt_destroy(opt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *notes;
    if (!notes) notes = fopen("/dev/null", "w");
    import_as(&mt_places_safetensors, data, size, notes);
    import_as(&mt_places_pylo, data, size, notes);
    return 0;
}
