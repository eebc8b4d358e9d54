/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.h - which kinds and presets exist. */
#ifndef LOPT_REGISTRY_H
#define LOPT_REGISTRY_H

#include "core/optimizer.h"

const lopt__preset *lopt__preset_find(const char *name, const lopt__kind **kind); /* NULL if unknown */

#endif
