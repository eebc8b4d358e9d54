/* SPDX-License-Identifier: Apache-2.0
 *
 * set_error.c - see set_error.h. */
#include "core/set_error.h"

#include <stdarg.h>
#include <stdio.h>

const char *lopt_status_text(lopt_status status) {
    switch (status) {
#define X(code, text)                                                                                                  \
    case LOPT_##code:                                                                                                  \
        return text;
        LOPT_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

int lopt__set_error(lopt_error *err, lopt_status status, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return 0;
}
