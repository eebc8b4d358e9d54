/* SPDX-License-Identifier: Apache-2.0
 *
 * flax.h - trees of weights as flax writes them: one MessagePack object (theta.state, params,
 * *.ckpt).
 *
 * Maps with text keys; a leaf is an extension of type 1 (array) or 3 (NumPy scalar) whose payload
 * is MessagePack [shape, type name, bytes], or a plain number. Names of leaves become
 * "['nn']['~']['w0']", because keys may hold any character.
 *
 * Read besides the plain tree of theta
 *     {params, gen_id, step}           a ParameterCheckpoint: params
 *     {"0", "1", "2"}                  the tuple (theta, text, number): "0"
 *     {gradient_learner_state: {theta_opt_state: {params}}, ...}   an outer trainer's state: params
 *     {name, fields, values}           a namedtuple of old flax: a map from fields to values
 *     lstm_init_state: {"0", "1"}      an LSTM state of old Haiku: hidden, cell
 *     {__msgpack_chunked_array__, shape, chunks}   an array of more than 2^30 bytes
 *     type names as text or bytes
 *
 * Written: the plain tree, float32, keys in order of bytes (hidden before cell: fields of a
 * namedtuple), which is byte for byte what flax writes. Settings and provenance have no place. */
#ifndef MT_FLAX_H
#define MT_FLAX_H

#include <stdio.h>

#include "formats/tensor_map.h"
#include "store/theta_file.h"

/* Adds the leaves of a file, or of bytes that outlive `arrays`. */
int mt_flax_read(mt_arrays *arrays, const char *path, lopt_error *err);
int mt_flax_parse(mt_arrays *arrays, const char *file, const unsigned char *bytes, size_t n, lopt_error *err);

int mt_flax_export(const char *path, const mt_theta_file *theta, FILE *notes, lopt_error *err);

#endif
