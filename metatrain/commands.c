/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdarg.h>
#include <stdio.h>

/* Sentences quote what stood in files: control characters do not reach the terminal. */
static void say(const char *before, const char *sentence) {
    char text[sizeof((lopt_error *)0)->text];
    snprintf(text, sizeof text, "%s", sentence);
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 32 || *c == 127)
            *c = '?';
    fprintf(stderr, "metatrain: %s%s\n", before, text);
}

void mt_warn(const char *sentence) {
    say("warning: ", sentence);
}

int mt_complain(const lopt_error *err) {
    say("", err->text);
    int bad_input =
        err->status == LOPT_EARG || err->status == LOPT_ESHAPE || err->status == LOPT_EUNKNOWN;
    return bad_input ? MT_BAD_INPUT : MT_FAILED;
}

int(mt_error)(lopt_error *err, lopt_status status, const char *format, ...) {
    if (!err)
        return 0;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->status = status;
    return 0;
}
