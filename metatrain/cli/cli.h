/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.h - the commands of `metatrain`, one file each in this folder (`bench`: in metatrain/bench).
 *
 * Each takes its own arguments (argv[0] is "metatrain NAME"), parses them with argp (--help with examples),
 * prints results on stdout and errors as one sentence on stderr (base/error.h), and returns an exit status. */
#ifndef MT_CLI_H
#define MT_CLI_H

int mt_command_train(int argc, char **argv);
int mt_command_eval(int argc, char **argv);
int mt_command_export(int argc, char **argv);
int mt_command_import(int argc, char **argv);
int mt_command_show(int argc, char **argv);
int mt_command_list(int argc, char **argv);
int mt_command_report(int argc, char **argv);
int mt_command_plot(int argc, char **argv);
int mt_command_data(int argc, char **argv);
int mt_command_replay(int argc, char **argv);
int mt_command_simulate(int argc, char **argv);
int mt_command_bench(int argc, char **argv);

#endif
