/* SPDX-License-Identifier: Apache-2.0
 *
 * stop_request.h - requests to save and leave: SIGTERM, SIGINT, SIGUSR1, and a time limit.
 *
 * Signals reach every rank; only the coordinator looks, between outer steps, and tells the others.
 * A second SIGINT ends the process at once, for a person who means it. */
#ifndef MT_STOP_H
#define MT_STOP_H

void mt_stop_watch(double time_limit_seconds); /* 0: none; also ignores SIGPIPE */
const char *mt_stop_reason(void);              /* NULL: go on */

#endif
