/* SPDX-License-Identifier: Apache-2.0
 *
 * error.c - see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

/* Messages quote what stood in files: control characters do not reach the terminal. */
static void print_message(const char *before, const char *message) {
    char text[sizeof((lopt_error *)0)->text];
    snprintf(text, sizeof text, "%s", message);
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 32 || *c == 127) *c = '?';
    fprintf(stderr, "metatrain: %s%s\n", before, text);
}

void mt_print_warning(const char *message) {
    print_message("warning: ", message);
}

int mt_print_error(const lopt_error *err) {
    print_message("", err->text);
    int bad_input = err->status == LOPT_EARG || err->status == LOPT_ESHAPE || err->status == LOPT_EUNKNOWN;
    return bad_input ? MT_BAD_INPUT : MT_FAILED;
}

int mt_warn_on_error(int ok, const lopt_error *err) {
    if (!ok) mt_print_warning(err->text);
    return ok;
}

int(mt_error)(lopt_error *err, lopt_status status, const char *format, ...) {
    if (!err) return 0;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->status = status;
    return 0;
}
