/* SPDX-License-Identifier: Apache-2.0
 *
 * install_path.c - see install_path.h. */
#include "base/install_path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int mt_program_path(char *path, size_t bytes) {
    ssize_t n = readlink("/proc/self/exe", path, bytes - 1);
    path[n > 0 ? n : 0] = 0;
    return n > 0 && (size_t)n < bytes - 1;
}

int mt_find_installed(const char *name, char *path, size_t bytes) {
    static const char *const places[] = {"", "share/metatrain/"};
    char folder[PATH_MAX];
    if (!mt_program_path(folder, sizeof folder)) return 0;
    for (char *slash; (slash = strrchr(folder, '/')) != NULL;) {
        *slash = 0;
        for (int i = 0; i < 2; i++) {
            int n = snprintf(path, bytes, "%s/%s%s", folder, places[i], name);
            if (n > 0 && (size_t)n < bytes && access(path, R_OK) == 0) return 1;
        }
    }
    return 0;
}
