/* SPDX-License-Identifier: Apache-2.0
 *
 * commands.h - the commands of `metatrain`, one file each in commands/.
 *
 * Each takes its own arguments (argv[0] is "metatrain NAME"), parses them with argp (--help with examples),
 * prints results on stdout and errors as one sentence on stderr through mt_complain, and returns an exit
 * status: 0 done, 1 the work failed, 2 bad usage or bad input (nothing was changed),
 * 75 stopped early with state saved. */
#ifndef MT_COMMANDS_H
#define MT_COMMANDS_H

#include "lopt.h"

enum { MT_DONE = 0, MT_FAILED = 1, MT_BAD_INPUT = 2, MT_STOPPED = 75 };

int mt_command_train(int argc, char **argv);
int mt_command_eval(int argc, char **argv);
int mt_command_export(int argc, char **argv);
int mt_command_import(int argc, char **argv);
int mt_command_show(int argc, char **argv);
int mt_command_list(int argc, char **argv);
int mt_command_data(int argc, char **argv);
int mt_command_replay(int argc, char **argv);
int mt_command_simulate(int argc, char **argv);
int mt_command_bench(int argc, char **argv);

/* Prints "metatrain: SENTENCE" on stderr; returns 2 for LOPT_EARG, LOPT_ESHAPE, LOPT_EUNKNOWN, else 1. */
int mt_complain(const lopt_error *err);
/* Prints "metatrain: warning: SENTENCE" on stderr. */
void mt_warn(const char *sentence);
/* Fills *err (which may be NULL) with a status and a printf-formatted sentence; returns 0. */
int mt_error(lopt_error *err, lopt_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* lets clang-tidy know what it returns, without seeing commands.c */
#define mt_error(...) (mt_error(__VA_ARGS__), 0)
#endif

#endif
