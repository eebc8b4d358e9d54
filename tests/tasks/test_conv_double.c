/* SPDX-License-Identifier: Apache-2.0
 *
 * test_conv_double.c - test_conv.c with real = double. */
#include "test_conv.c"
