/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: a text as configuration, up to a zero byte; what follows is one --set. A configuration
 * that is accepted must be accepted again as its own resolved copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_resolved(const mt_config *cfg) {
    lopt_error err = {LOPT_OK, ""};
    char *text = mt_config_text(cfg);
    mt_config *again = mt_config_parse(text, "resolved", NULL, 0, &err);
    if (!again) {
        fprintf(stderr, "%s\n%s\n", err.text, text);
        abort();
    }
    mt_config_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lopt_error err = {LOPT_OK, ""};
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    size_t n = strlen(text);
    const char *set = n < size ? text + n + 1 : NULL;
    mt_config *cfg = mt_config_parse(text, "fuzz", &set, set != NULL, &err);
    if (cfg)
        check_resolved(cfg);
    else if (err.status == LOPT_OK || err.text[0] == '\0')
        abort();
    mt_config_free(cfg);
    free(text);
    return 0;
}
