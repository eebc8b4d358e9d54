/* SPDX-License-Identifier: Apache-2.0
 *
 * status.json: round trip, and what is said of a bad one. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "status_file.h"
#include "text_file.h"

static char dir[1024], path[1100];
static lopt_error err;

static void set_dir(void) {
    snprintf(dir, sizeof dir, "/tmp/metatrain-status-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/status.json", dir);
}

static void remove_dir(void) {
    remove(path);
    rmdir(dir);
}

TestSuite(status_file, .init = set_dir, .fini = remove_dir);

static void put(const char *text) {
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

Test(status_file, round_trip_of_every_state) {
    for (int state = MT_STATE_RUNNING; state <= MT_STATE_FAILED; state++) {
        mt_status out = {.state = (mt_state)state, .status = 75, .outer_step = 1234567890123}, in;
        cr_assert(mt_status_write(dir, &out, &err), "%s", err.text);
        cr_assert(mt_status_read(dir, &in, &err), "%s", err.text);
        cr_assert(in.state == out.state && in.outer_step == out.outer_step, "state %d came back as %d", state, in.state);
        cr_assert(in.status == (state == MT_STATE_RUNNING ? 0 : 75), "status %d", in.status);
        cr_assert(strcmp(in.version, lopt_version()) == 0, "version \"%s\"", in.version);
    }
}

Test(status_file, what_scripts_read) {
    mt_status status = {.state = MT_STATE_STOPPED, .status = 75, .outer_step = 120};
    cr_assert(mt_status_write(dir, &status, &err), "%s", err.text);
    char *text = mt_text_read(path, 4096, NULL, &err);
    cr_assert(strstr(text, "\"state\": \"stopped\"") && strstr(text, "\"status\": 75") &&
              strstr(text, "\"outer_step\": 120"), "%s", text);
    free(text);
}

Test(status_file, a_bad_one_is_a_sentence) {
    static const char *const bad[] = {"", "{", "[]", "{\"state\": \"running\"}",
                                      "{\"state\": \"asleep\", \"status\": 0, \"outer_step\": 1, \"version\": \"1\"}",
                                      "{\"state\": 1, \"status\": 0, \"outer_step\": 1, \"version\": \"1\"}"};
    mt_status status;
    cr_assert(!mt_status_read(dir, &status, &err) && strstr(err.text, path), "%s", err.text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(bad[i]);
        err.text[0] = '\0';
        cr_assert(!mt_status_read(dir, &status, &err), "accepted %s", bad[i]);
        cr_assert(strstr(err.text, path) && err.status == LOPT_EARG, "%s: %s", bad[i], err.text);
    }
}
