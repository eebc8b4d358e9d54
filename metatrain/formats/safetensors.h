/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors.h - the container of Hugging Face, and our own single file in it.
 *
 *     u64 length of the header, little-endian
 *     header: JSON {name: {"dtype": "F32", "shape": [39, 32], "data_offsets": [0, 4992]}, ...,
 *             "__metadata__": {text: text}}, spaces up to a multiple of 8
 *     data: row-major, little-endian; the arrays fill it without gap or overlap
 *
 * Checked before anything is believed: the header's length (at most 16 MB), one JSON object without
 * duplicate keys, types, shapes against lengths, and that the arrays tile the data.
 *
 * A file of ours (`metatrain export --to safetensors`) has the blocks' names and, in __metadata__,
 * format = "metatrain 1", optimizer = PRESET, settings.NAME = TEXT, provenance.NAME = TEXT. */
#ifndef MT_SAFETENSORS_H
#define MT_SAFETENSORS_H

#include <jansson.h>
#include <stdio.h>

#include "formats/tensor_map.h"
#include "store/theta_file.h"

#define MT_SAFETENSORS_FORMAT "metatrain 1"

/* Adds the arrays of a file, or of bytes that outlive `arrays`. *metadata (may be NULL) receives
 * __metadata__ or an empty object, to be freed by the caller. */
int mt_safetensors_read(mt_arrays *arrays, const char *path, json_t **metadata, lopt_error *err);
int mt_safetensors_parse(mt_arrays *arrays, const char *file, const unsigned char *bytes, size_t n, json_t **metadata,
                         lopt_error *err);

/* Writes the arrays (float32) in their order. `metadata` is borrowed. */
int mt_safetensors_write(const char *path, const mt_arrays *arrays, json_t *metadata, lopt_error *err);

/* theta as a file of ours. */
int mt_safetensors_export(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err);

/* Adds provenance.NAME of every note. */
void mt_add_provenance(json_t *metadata, const mt_theta_file *theta);

#endif
