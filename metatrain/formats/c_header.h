/* SPDX-License-Identifier: Apache-2.0
 *
 * c_header.h - one C header that holds an optimizer: theta, settings and the code of a step, for every preset.
 *
 *     mt_c_header_write("theta.h", theta, stdout, &err);
 *
 * The code is that of liblopt (amalgamation.h). The file compiles alone as C11 and as C++17 and needs libm only.
 * Its names begin with the file's name, so that two can be used together; its first comment documents create, step
 * and destroy. 1, or 0 and a message. */
#ifndef MT_C_HEADER_H
#define MT_C_HEADER_H

#include <stdio.h>

#include "store/theta_file.h"

int mt_c_header_write(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err);

#endif
