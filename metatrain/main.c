/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c - the table of commands. Each has its own file in cli/ (bench: in bench/) and returns the exit
 * status. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "core/suggest.h"
#include "store/dataset_hdf5.h"

typedef struct command {
    const char *name, *title; /* title: argv[0] of the command, for its help and messages */
    int (*run)(int argc, char **argv);
    const char *summary;
} command;

static const command commands[] = {
    {"train", "metatrain train", mt_command_train, "meta-train a learned optimizer with evolution strategies"},
    {"eval", "metatrain eval", mt_command_eval, "compare optimizers on tasks, with learning-rate sweeps"},
    {"export", "metatrain export", mt_command_export, "write theta for other programs (PyLO, JAX, a C header)"},
    {"import", "metatrain import", mt_command_import, "read weights that another program made"},
    {"show", "metatrain show", mt_command_show, "say what a theta file or a checkpoint holds"},
    {"list", "metatrain list", mt_command_list, "list optimizers, tasks, estimators, or keys of a configuration"},
    {"report", "metatrain report", mt_command_report, "make a page, or tables, of evaluations and runs"},
    {"plot", "metatrain plot", mt_command_plot, "draw curves of runs and evaluations, compare runs"},
    {"data", "metatrain data", mt_command_data, "say which data sets are here, make one from pictures or arrays"},
    {"replay", "metatrain replay", mt_command_replay, "check an optimizer against a recorded trajectory"},
    {"simulate", "metatrain simulate", mt_command_simulate, "predict how a meta-training runs on more ranks"},
    {"bench", "metatrain bench", mt_command_bench, "measure the speed of this machine's build"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *f) {
    fputs("Usage: metatrain COMMAND [ARGUMENT...]\n"
          "Meta-train, evaluate and export learned optimizers.\n\n",
          f);
    for (int i = 0; i < N_COMMANDS; i++) fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\nmetatrain COMMAND --help says more, with examples.\n"
          "Exit status: 0 done, 1 the work failed, 2 bad usage or input and nothing was changed,\n"
          "75 stopped early with the state saved (go on with --resume).\n\n"
          "Begin with\n"
          "  metatrain train configs/quickstart.yaml --out runs/quickstart\n",
          f);
}

static int unknown_command(const char *name) {
    char text[64];
    lopt__suggestion s = lopt__suggestion_for(name);
    for (int i = 0; i < N_COMMANDS; i++) lopt__suggest_name(&s, commands[i].name);
    fprintf(stderr, "metatrain: found the unknown command \"%s\", expected one of", name);
    for (int i = 0; i < N_COMMANDS; i++) fprintf(stderr, "%s %s", i ? "," : "", commands[i].name);
    fprintf(stderr, "%s\n", lopt__suggestion_text(&s, text, sizeof text));
    return MT_BAD_INPUT;
}

static int run_command(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return MT_BAD_INPUT;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return MT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("metatrain %s\n", lopt_version());
        return MT_DONE;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        argv[1] = (char *)commands[i].title;
        return commands[i].run(argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}

/* A reader that left (metatrain list tasks | head -1) is no failure; a full disk is one. */
static int close_output(int status) {
    int failed = fflush(stdout) != 0 || ferror(stdout);
    struct stat out;
    if (!failed || (fstat(STDOUT_FILENO, &out) == 0 && (S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode)))) return status;
    fputs("metatrain: standard output cannot be written\n", stderr);
    return status == MT_DONE ? MT_FAILED : status;
}

int main(int argc, char **argv) {
    unsetenv("LOPT_THREADS"); /* a rank is a core; who wants more threads says so */
    /* A run goes on when the program that read its progress has left. */
    signal(SIGPIPE, SIG_IGN);
    task_source_read_hdf5_with(mt_data_file_read);
    return close_output(run_command(argc, argv));
}
