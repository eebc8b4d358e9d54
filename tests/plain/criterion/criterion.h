/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of Criterion that tests of liblopt alone use, for builds without it (METATRAIN_ONLY_LOPT, other
 * processors under an emulator): each test in a process of its own, failures counted. */
#ifndef PLAIN_CRITERION_H
#define PLAIN_CRITERION_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct plain_test {
    const char *name;
    void (*run)(void);
    struct plain_test *next;
} plain_test;

static plain_test *plain_tests;
static int plain_failed; /* an expectation of this process */

static void plain_check(int ok, int go_on, const char *file, int line, const char *text, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
static void plain_check(int ok, int go_on, const char *file, int line, const char *text, const char *format, ...) {
    if (ok) return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: %s:", file, line, text);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    plain_failed = 1;
    if (!go_on) exit(1);
}

#define Test(suite, test, ...)                                                                                         \
    static void suite##_##test(void);                                                                                  \
    __attribute__((constructor)) static void suite##_##test##_is_a_test(void) {                                        \
        static plain_test entry = {#suite "::" #test, suite##_##test, NULL};                                           \
        entry.next = plain_tests;                                                                                      \
        plain_tests = &entry;                                                                                          \
    }                                                                                                                  \
    static void suite##_##test(void)

#define cr_assert(condition, ...) plain_check(!!(condition), 0, __FILE__, __LINE__, #condition, " " __VA_ARGS__)
#define cr_expect(condition, ...) plain_check(!!(condition), 1, __FILE__, __LINE__, #condition, " " __VA_ARGS__)
#define cr_assert_str_eq(a, b) cr_assert(strcmp(a, b) == 0, "\"%s\", \"%s\"", a, b)

static int plain_passes(const plain_test *t) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        t->run();
        exit(plain_failed);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(void) {
    int n = 0, failed = 0;
    for (const plain_test *t = plain_tests; t; t = t->next, n++) {
        int passed = plain_passes(t);
        failed += !passed;
        printf("%s %s\n", passed ? "passed" : "FAILED", t->name);
        fflush(stdout);
    }
    printf("%d of %d tests failed\n", failed, n);
    return failed > 0 || n == 0;
}

#endif
