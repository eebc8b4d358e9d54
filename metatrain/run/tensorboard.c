/* SPDX-License-Identifier: Apache-2.0
 *
 * tensorboard.c - see tensorboard.h. */
#include "run/tensorboard.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/read_file.h"

#define NAME_STARTS "events.out.tfevents."
#define FLUSH_SECONDS 5.0
#define BUFFER_BYTES ((size_t)1 << 18)
#define MAX_BYTES ((size_t)1 << 32)

/* A record: head (length and its CRC), data, tail (CRC of the data). */
enum { HEAD_BYTES = 12, TAIL_BYTES = 4 };

/* Fields of the messages with their wire types: number << 3 | type. */
enum { AS_VARINT = 0, AS_DOUBLE = 1, AS_BYTES = 2, AS_FLOAT = 5 };
enum {
    EVENT_WALL_TIME = 1 << 3 | AS_DOUBLE,
    EVENT_STEP = 2 << 3 | AS_VARINT,
    EVENT_FILE_VERSION = 3 << 3 | AS_BYTES,
    EVENT_SUMMARY = 5 << 3 | AS_BYTES,
    EVENT_SESSION_LOG = 7 << 3 | AS_BYTES,
    SUMMARY_VALUE = 1 << 3 | AS_BYTES,
    VALUE_TAG = 1 << 3 | AS_BYTES,
    VALUE_NUMBER = 2 << 3 | AS_FLOAT
};

struct mt_event_file {
    FILE *file;
    char path[PATH_MAX];
    double flush_due;
};

/* ---- bytes --------------------------------------------------------------------------------- */

static void put_bytes(unsigned char **at, const void *data, size_t n) {
    memcpy(*at, data, n);
    *at += n;
}

/* Fixed-size numbers of the format are little-endian, as are the machines that liblopt runs on;
 * shifts keep it so elsewhere. */
static void put_fixed(unsigned char **at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *(*at)++ = (unsigned char)(value >> (8 * i));
}

static uint64_t get_fixed(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void put_varint(unsigned char **at, uint64_t value) {
    for (; value >= 128; value >>= 7) *(*at)++ = (unsigned char)(value | 128);
    *(*at)++ = (unsigned char)value;
}

static size_t varint_bytes(uint64_t value) {
    size_t n = 1;
    while (value >>= 7) n++;
    return n;
}

/* 0 where the number does not end before `end`. */
static int get_varint(const unsigned char *at, const unsigned char *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        *value |= (uint64_t)(*at & 127) << shift;
        if (*at++ < 128) return 1;
    }
    return 0;
}

static uint32_t masked_crc(const unsigned char *data, size_t n) {
    static const uint32_t nibble[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* ---- writing ------------------------------------------------------------------------------- */

static uint64_t wall_clock(void) { /* bits of the double: seconds since 1970 */
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    double seconds = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    return bits;
}

static int report_error(const mt_event_file *f, lopt_error *err) {
    return mt_error(err, LOPT_EIO, "%s: cannot be written: %s", f->path, strerror(errno));
}

/* One record: an event of this step whose `field` holds content[n]. */
static int write_event(mt_event_file *f, int64_t step, int field, const void *content, size_t n, lopt_error *err) {
    size_t data = 1 + 8 + 1 + varint_bytes((uint64_t)step) + 1 + varint_bytes(n) + n;
    unsigned char *record = malloc(HEAD_BYTES + data + TAIL_BYTES), *at = record;
    if (!record) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", f->path);
    put_fixed(&at, data, 8);
    put_fixed(&at, masked_crc(record, 8), 4);
    put_varint(&at, EVENT_WALL_TIME);
    put_fixed(&at, wall_clock(), 8);
    put_varint(&at, EVENT_STEP);
    put_varint(&at, (uint64_t)step);
    put_varint(&at, (uint64_t)field);
    put_varint(&at, n);
    put_bytes(&at, content, n);
    put_fixed(&at, masked_crc(record + HEAD_BYTES, data), 4);
    int ok = fwrite(record, HEAD_BYTES + data + TAIL_BYTES, 1, f->file) == 1;
    free(record);
    return ok || report_error(f, err);
}

/* Adds one value to a summary. */
static void put_scalar(unsigned char **at, const mt_scalar *s) {
    size_t tag = strlen(s->tag);
    float value = (float)s->value;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_varint(at, SUMMARY_VALUE);
    put_varint(at, 1 + varint_bytes(tag) + tag + 1 + 4);
    put_varint(at, VALUE_TAG);
    put_varint(at, tag);
    put_bytes(at, s->tag, tag);
    put_varint(at, VALUE_NUMBER);
    put_fixed(at, bits, 4);
}

int mt_event_file_write(mt_event_file *f, int64_t step, const mt_scalar *scalars, size_t n, lopt_error *err) {
    enum { MOST = MT_TAG_BYTES + 10 }; /* bytes of a value besides its tag: 10 at most */
    unsigned char *summary = malloc(n * MOST + 1), *end = summary;
    if (!summary) return mt_error(err, LOPT_ENOMEM, "%s: out of memory", f->path);
    for (size_t i = 0; i < n; i++)
        if (isfinite(scalars[i].value)) put_scalar(&end, &scalars[i]);
    int ok = write_event(f, step, EVENT_SUMMARY, summary, (size_t)(end - summary), err);
    free(summary);
    return ok && (mt_wall_seconds() < f->flush_due || mt_event_file_flush(f, err));
}

int mt_event_file_flush(mt_event_file *f, lopt_error *err) {
    f->flush_due = mt_wall_seconds() + FLUSH_SECONDS;
    return fflush(f->file) == 0 || report_error(f, err);
}

void mt_event_file_close(mt_event_file *f) {
    if (!f) return;
    fclose(f->file);
    free(f);
}

/* ---- earlier files ------------------------------------------------------------------------- */

/* Bytes of the record at `at`, and the step of its event; 0 if it is damaged or cut short. */
static size_t read_record(const unsigned char *at, const unsigned char *end, uint64_t *step) {
    size_t left = (size_t)(end - at);
    if (left < HEAD_BYTES + TAIL_BYTES || get_fixed(at + 8, 4) != masked_crc(at, 8)) return 0;
    uint64_t n = get_fixed(at, 8);
    const unsigned char *data = at + HEAD_BYTES;
    if (n > left - HEAD_BYTES - TAIL_BYTES || get_fixed(data + n, 4) != masked_crc(data, n)) return 0;
    if (n < 11 || data[9] != EVENT_STEP || !get_varint(data + 10, data + n, step)) return 0;
    return HEAD_BYTES + n + TAIL_BYTES;
}

/* Steps only grow within a file, so what is kept of one is its beginning. A mark that a resume left
 * stands for the step after it, which is not there yet. */
static int cut_records(const char *path, int64_t keep_through, lopt_error *err) {
    size_t n, kept = 0, bytes;
    uint64_t step;
    unsigned char *file = (unsigned char *)mt_text_read(path, MAX_BYTES, &n, err);
    if (!file) return 0;
    while ((bytes = read_record(file + kept, file + n, &step)) && step <= (uint64_t)keep_through) kept += bytes;
    free(file);
    return kept == n || truncate(path, (off_t)kept) == 0 ||
           mt_error(err, LOPT_EIO, "%s: cannot be cut to outer step %lld: %s", path, (long long)keep_through,
                    strerror(errno));
}

/* Cuts or removes the event files in dir; *last: the largest number in a name. */
static int clear_earlier(const char *dir, int64_t keep_through, long long *last, lopt_error *err) {
    char path[PATH_MAX];
    DIR *folder = opendir(dir);
    int ok = folder || mt_error(err, LOPT_EARG, "%s: cannot be read: %s", dir, strerror(errno));
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        if (strncmp(entry->d_name, NAME_STARTS, strlen(NAME_STARTS)) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        long long number = atoll(entry->d_name + strlen(NAME_STARTS));
        *last = number > *last ? number : *last;
        if (keep_through < 0)
            ok = remove(path) == 0 || mt_error(err, LOPT_EIO, "%s: cannot be removed: %s", path, strerror(errno));
        else
            ok = cut_records(path, keep_through, err);
    }
    if (folder) closedir(folder);
    return ok;
}

/* ---- opening ------------------------------------------------------------------------------- */

static int begin_record(mt_event_file *f, int64_t keep_through, lopt_error *err) {
    static const char version[] = "brain.Event:2";
    static const unsigned char session_starts[] = {1 << 3 | AS_VARINT, 1}; /* status: START */
    int64_t next = keep_through < 0 ? 0 : keep_through + 1;
    return write_event(f, 0, EVENT_FILE_VERSION, version, sizeof version - 1, err) &&
           (keep_through < 0 || write_event(f, next, EVENT_SESSION_LOG, session_starts, sizeof session_starts, err)) &&
           (fflush(f->file) == 0 || report_error(f, err));
}

mt_event_file *mt_event_file_open(const char *dir, int64_t keep_through, lopt_error *err) {
    long long number = 0;
    if (!clear_earlier(dir, keep_through, &number, err)) return NULL;
    mt_event_file *f = calloc(1, sizeof *f);
    if (!f) {
        mt_error(err, LOPT_ENOMEM, "%s: out of memory for an event file", dir);
        return NULL;
    }
    /* Files are read in the order of their names: seconds since 1970, as TensorBoard's own writer has. */
    number = (long long)time(NULL) > number ? (long long)time(NULL) : number + 1;
    snprintf(f->path, sizeof f->path, "%s/" NAME_STARTS "%010lld.metatrain", dir, number);
    f->file = fopen(f->path, "wbxe");
    if (!f->file) {
        mt_error(err, LOPT_EIO, "%s: cannot be created: %s", f->path, strerror(errno));
        free(f);
        return NULL;
    }
    setvbuf(f->file, NULL, _IOFBF, BUFFER_BYTES);
    if (begin_record(f, keep_through, err)) return f;
    mt_event_file_close(f);
    return NULL;
}
