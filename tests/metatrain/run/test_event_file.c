/* SPDX-License-Identifier: Apache-2.0
 *
 * Event files, read by a second implementation of the format: framing, checksums, fields, and what a resume leaves.
 * tests/commands/test_tensorboard.sh has TensorBoard read them. */
#include <criterion/criterion.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/read_file.h"
#include "run/tensorboard.h"

static char dir[512];
static lopt_error err;

static void make_dir(void) {
    const char *folder = getenv("SCRATCH");
    snprintf(dir, sizeof dir, "%s/events-%d", folder ? folder : "/tmp", (int)getpid());
    cr_assert(mt_make_folders(dir, &err), "%s", err.text);
}

static void remove_dir(void) {
    mt_remove_tree(dir);
}

TestSuite(event_file, .init = make_dir, .fini = remove_dir);

/* CRC-32C bit by bit, as RFC 3720 defines it. */
static uint32_t crc32c(const unsigned char *data, size_t n) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static uint32_t masked(const unsigned char *data, size_t n) {
    uint32_t crc = crc32c(data, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void write_steps(int64_t keep, int64_t first, int64_t last) {
    mt_event_file *f = mt_event_file_open(dir, keep, &err);
    cr_assert(f != NULL, "%s", err.text);
    for (int64_t step = first; step <= last; step++) {
        mt_scalar scalars[] = {{"loss/a", 1.0 / (double)step}, {"loss/b", NAN}, {"c", (double)first}};
        cr_assert(mt_event_file_write(f, step, scalars, 3, &err), "%s", err.text);
    }
    mt_event_file_close(f);
}

/* All event files in the order of their names; globfree. */
static glob_t files(void) {
    char pattern[600];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/events.out.tfevents.*", dir);
    cr_assert(glob(pattern, 0, NULL, &found) == 0, "no event file in %s", dir);
    return found;
}

/* The next record's data, checked; NULL at the end of the file. */
static const unsigned char *next_record(const unsigned char **at, const unsigned char *end, uint64_t *n) {
    uint32_t crc;
    const unsigned char *data = *at + 12;
    if (*at == end) return NULL;
    cr_assert(end - *at >= 16, "%ld bytes are left over", (long)(end - *at));
    memcpy(n, *at, 8);
    memcpy(&crc, *at + 8, 4);
    cr_assert(crc == masked(*at, 8), "checksum of a length: %08x for %08x", crc, masked(*at, 8));
    cr_assert(*n <= (uint64_t)(end - data) - 4, "a record of %lu bytes passes the end", (unsigned long)*n);
    memcpy(&crc, data + *n, 4);
    cr_assert(crc == masked(data, *n), "checksum of data: %08x for %08x", crc, masked(data, *n));
    *at = data + *n + 4;
    return data;
}

/* Steps of the summaries in all files, in order; at most 64. */
static size_t read_steps(uint64_t *steps) {
    glob_t found = files();
    size_t n_steps = 0, bytes;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        unsigned char *file = (unsigned char *)mt_text_read(found.gl_pathv[i], 1 << 20, &bytes, &err);
        cr_assert(file != NULL, "%s", err.text);
        const unsigned char *at = file, *data;
        uint64_t n;
        while ((data = next_record(&at, file + bytes, &n)))
            if (data[9] == 0x10 && data[11] == 0x2a && n_steps < 64) /* one-byte step, then summary */
                steps[n_steps++] = data[10];
        free(file);
    }
    globfree(&found);
    return n_steps;
}

static void expect_steps(uint64_t last) {
    uint64_t steps[64];
    size_t n = read_steps(steps);
    cr_assert(n == last, "%zu steps for %lu", n, (unsigned long)last);
    for (size_t i = 0; i < n; i++)
        cr_assert(steps[i] == i + 1, "summary %zu is of step %lu", i, (unsigned long)steps[i]);
}

Test(event_file, the_checksum_is_crc_32c) {
    cr_assert(crc32c((const unsigned char *)"123456789", 9) == 0xe3069283, "the test's own CRC is wrong");
    write_steps(-1, 1, 1); /* read with that CRC */
    expect_steps(1);
}

Test(event_file, an_event_has_the_bytes_of_its_message) {
    static const unsigned char want[] = {0x10, 4,                                /* step 4 */
                                         0x2a, 25,                               /* summary */
                                         0x0a, 13,  0x0a, 6,                     /* value, tag */
                                         'l',  'o', 's',  's',  '/',  'a', 0x15, /* simple_value 0.25 */
                                         0,    0,   0x80, 0x3e, 0x0a, 8,   0x0a, 1, 'c', 0x15, 0, 0, 0x80, 0x40};
    size_t bytes;
    uint64_t n;
    write_steps(-1, 4, 4);
    glob_t found = files();
    unsigned char *file = (unsigned char *)mt_text_read(found.gl_pathv[0], 1 << 20, &bytes, &err);
    const unsigned char *at = file, *data = next_record(&at, file + bytes, &n);
    cr_assert(data[0] == 0x09 && n == 26 &&
                  memcmp(data + 9,
                         "\x10\x00\x1a\x0d"
                         "brain.Event:2",
                         17) == 0,
              "the first record is not the version");
    data = next_record(&at, file + bytes, &n);
    cr_assert(n == 9 + sizeof want, "%lu bytes", (unsigned long)n);
    for (size_t i = 0; i < sizeof want; i++)
        cr_assert(data[9 + i] == want[i], "byte %zu: %02x for %02x", i, data[9 + i], want[i]);
    free(file);
    globfree(&found);
}

/* Steps 1..10 written, killed, resumed from 6, and once more from 12. */
Test(event_file, resumes_leave_every_step_once) {
    write_steps(-1, 1, 10);
    write_steps(6, 7, 12);
    write_steps(12, 13, 20);
    expect_steps(20);
    write_steps(9, 10, 15);
    expect_steps(15);
}

/* A kill can end a file anywhere; what was whole stays. (The last record has 54 bytes.) */
Test(event_file, a_record_cut_short_is_left_out) {
    for (int cut = 1; cut < 54; cut += 7) {
        write_steps(-1, 1, 4);
        glob_t found = files();
        size_t bytes;
        free(mt_text_read(found.gl_pathv[0], 1 << 20, &bytes, &err));
        cr_assert(truncate(found.gl_pathv[0], (off_t)(bytes - (size_t)cut)) == 0, "truncate");
        globfree(&found);
        write_steps(3, 4, 5);
        expect_steps(5);
    }
}

Test(event_file, damage_ends_a_file) {
    write_steps(-1, 1, 4);
    glob_t found = files();
    FILE *f = fopen(found.gl_pathv[0], "r+b");
    fseek(f, -20, SEEK_END);
    fputc(0xff, f);
    fclose(f);
    globfree(&found);
    write_steps(4, 5, 5); /* 4 is lost, and no reader stumbles */
    uint64_t steps[64];
    cr_assert(read_steps(steps) == 4 && steps[2] == 3 && steps[3] == 5, "steps differ");
}

Test(event_file, a_new_history_replaces_the_old) {
    write_steps(-1, 1, 10);
    write_steps(-1, 1, 2);
    expect_steps(2);
}

Test(event_file, a_folder_that_is_missing_is_a_sentence) {
    cr_assert(mt_event_file_open("/nowhere", -1, &err) == NULL, "opened");
    cr_assert(strstr(err.text, "/nowhere") != NULL && err.status == LOPT_EARG, "%s", err.text);
}
