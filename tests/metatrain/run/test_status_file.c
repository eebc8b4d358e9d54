/* SPDX-License-Identifier: Apache-2.0
 *
 * status.json: round trip, and what is said of a bad one. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read_file.h"
#include "run/status_file.h"
#include "scratch.h"

static char path[SCRATCH_PATH];
static lopt_error err;

static void setup(void) {
    make_scratch();
    path_of("status.json", path);
}

TestSuite(status_file, .init = setup, .fini = remove_scratch);

Test(status_file, round_trip_of_every_state) {
    for (int state = MT_STATE_RUNNING; state <= MT_STATE_FAILED; state++) {
        mt_status out = {.state = (mt_state)state, .status = 75, .outer_step = 1234567890123}, in;
        cr_assert(mt_status_write(folder, &out, &err), "%s", err.text);
        cr_assert(mt_status_read(folder, &in, &err), "%s", err.text);
        cr_assert(in.state == out.state && in.outer_step == out.outer_step, "state %d came back as %d", state,
                  in.state);
        cr_assert(in.status == (state == MT_STATE_RUNNING ? 0 : 75), "status %d", in.status);
        cr_assert(strcmp(in.version, lopt_version()) == 0, "version \"%s\"", in.version);
    }
}

Test(status_file, what_scripts_read) {
    mt_status status = {.state = MT_STATE_STOPPED, .status = 75, .outer_step = 120};
    cr_assert(mt_status_write(folder, &status, &err), "%s", err.text);
    char *text = mt_text_read(path, 4096, NULL, &err);
    cr_assert(strstr(text, "\"state\": \"stopped\"") && strstr(text, "\"status\": 75") &&
                  strstr(text, "\"outer_step\": 120"),
              "%s", text);
    free(text);
}

Test(status_file, a_bad_one_is_a_sentence) {
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{\"state\": \"running\"}",
                                      "{\"state\": \"asleep\", \"status\": 0, \"outer_step\": 1, \"version\": \"1\"}",
                                      "{\"state\": 1, \"status\": 0, \"outer_step\": 1, \"version\": \"1\"}"};
    mt_status status;
    cr_assert(!mt_status_read(folder, &status, &err) && strstr(err.text, path), "%s", err.text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_bytes(path, bad[i], strlen(bad[i]));
        err.text[0] = '\0';
        cr_assert(!mt_status_read(folder, &status, &err), "accepted %s", bad[i]);
        cr_assert(strstr(err.text, path) && err.status == LOPT_EARG, "%s: %s", bad[i], err.text);
    }
}
