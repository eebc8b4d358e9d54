/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: any bytes as a tree of flax, into two optimizers of different layouts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/flax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void import_as(const char *preset, const uint8_t *data, size_t size, FILE *notes) {
    lopt_error err = {LOPT_OK, ""};
    lopt_setting small = {"hidden_size", "1"};
    lopt_optimizer *opt = lopt_create(preset, &small, strcmp(preset, "small-fc") == 0, &err);
    mt_arrays *arrays = mt_arrays_create("fuzz", &err);
    int ok = mt_flax_parse(arrays, "fuzz", data, size, &err) && mt_arrays_finish(arrays, &err) &&
             mt_arrays_to_theta(arrays, &mt_places_flax, opt, notes, &err);
    if (!ok && (err.status == LOPT_OK || strncmp(err.text, "fuzz: ", 6) != 0))
        abort(); /* a refusal is a sentence that names the file */
    mt_arrays_free(arrays);
    lopt_destroy(opt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *notes;
    if (!notes) notes = fopen("/dev/null", "w");
    import_as("learnable-adam", data, size, notes);
    import_as("small-fc", data, size, notes);
    return 0;
}
