/* SPDX-License-Identifier: Apache-2.0
 *
 * corpus.h - the texts of one file or folder, found, read, checked and cut.
 *
 *     char path[TASK_CORPUS_PATH];
 *     task_corpus c = {0};
 *     if (!task_corpus_find("fortunes", data_path, path, &err) || !task_corpus_read(path, &c, &err)) ...
 *     c.bytes[c.begin[i]] .. c.bytes[c.begin[i + 1] - 1]       text i
 *     task_corpus_free(&c);
 *
 * Where    a name with a '/' is a file or a folder. Another name is a file or folder NAME or a file NAME.txt in the
 *          folders of data_path (separated by ':'); then, what Debian's packages hold: `fortunes` (fortunes),
 *          `bible` (bible-kjv-text). `lm1b` and `wikipedia`, the texts of published tasks, are looked for in
 *          data_path as well and are `fortunes` and `bible` else.
 * Files    of a folder all regular ones in order of their names, but links and names that begin with '.' or end
 *          in ".dat" (the indices of fortunes). Each must be UTF-8, or the compressed Bible of bible-kjv-text (known by
 *          its first bytes; a chapter is a text, verse numbers are dropped).
 * Texts    the parts between empty lines, or lines that are "%"; cut where they are longer than TASK_LONGEST_TEXT
 *          bytes. At least TASK_FEWEST_TEXTS, so that every split has one; 1 GB in all at most.
 * Errors   one message; no length or byte of a file is trusted. */
#ifndef TASK_CORPUS_H
#define TASK_CORPUS_H

#include "base/spec.h"

enum { TASK_CORPUS_PATH = 2048, TASK_LONGEST_TEXT = 4096, TASK_FEWEST_TEXTS = 20 };

typedef struct task_corpus {
    unsigned char *bytes;
    size_t n_texts, *begin; /* [n_texts + 1] */
} task_corpus;

int task_corpus_find(const char *name, const char *data_path, char path[TASK_CORPUS_PATH], lopt_error *err);
int task_corpus_read(const char *path, task_corpus *c, lopt_error *err);
void task_corpus_free(task_corpus *c);

#endif
