/* SPDX-License-Identifier: Apache-2.0
 *
 * tensorboard.h - the history of a run as TensorBoard reads it: DIR/events.out.tfevents.*.
 *
 *     mt_event_file *f = mt_event_file_open(dir, -1, &err);        a new history
 *     mt_event_file *f = mt_event_file_open(dir, step, &err);      on resume from outer step `step`
 *     mt_event_file_write(f, step, scalars, n, &err);              once per outer step
 *     mt_event_file_flush(f, &err);                                with a checkpoint
 *     mt_event_file_close(f);
 *
 * Records wait in memory and reach the file every few seconds, with checkpoints and on close, so
 * an outer step pays for a copy, and a resume from the newest point finds every earlier step.
 *
 * A resume begins another file, which TensorBoard joins to the earlier ones, and takes records past the
 * restored step, or damaged, out of those. A mark at its start makes a TensorBoard that watches
 * forget what it has read of the lost steps. So every outer step is there once.
 *
 * A file is a sequence of records (TFRecord): length (8 bytes), CRC of the length, data, CRC of the
 * data. CRCs are CRC-32C (RFC 3720, B.4), rotated and shifted ("masked") by the format. Data is an Event in
 * Protocol Buffers' wire format:
 *
 *     Event    1 wall_time double, 2 step int64, one of: 3 file_version, 5 summary, 7 session_log
 *     Summary  1 value, repeated: 1 tag, 2 simple_value float
 *
 * Source: TensorFlow's record_writer, event.proto and summary.proto.
 *
 * Errors   functions return NULL or 0 and one sentence that names the file. */
#ifndef MT_TENSORBOARD_H
#define MT_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "lopt.h"

#define MT_TAG_BYTES 96 /* of a tag with its zero; longer ones are cut */

typedef struct mt_scalar {
    char tag[MT_TAG_BYTES]; /* "loss/meta_loss": TensorBoard groups by what stands before the / */
    double value;           /* one that is not finite leaves no point */
} mt_scalar;

typedef struct mt_event_file mt_event_file;

/* keep_through: the last outer step kept of earlier files; negative: they are removed. */
mt_event_file *mt_event_file_open(const char *dir, int64_t keep_through, lopt_error *err);
int mt_event_file_write(mt_event_file *f, int64_t step, const mt_scalar *scalars, size_t n, lopt_error *err);
int mt_event_file_flush(mt_event_file *f, lopt_error *err);
void mt_event_file_close(mt_event_file *f); /* NULL is fine */

#endif
