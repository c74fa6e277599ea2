/* Running the program `mithril` as its users do: arguments in, exit code and what it printed out. */
#ifndef MTH_TESTS_PROGRAM_H
#define MTH_TESTS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

struct program_result {
    int exit_code; /* 128 + the signal that ended it */
    char *out;     /* standard output, NUL-terminated */
    char *err;     /* standard error */
};

/*
 * Run mithril in a directory (NULL: this one) with a NULL-terminated list of arguments, the program's name left out.
 * The program is $MITHRIL, or the one beside the directory of the test programs. Ends the test when it can not be run.
 */
struct program_result program_run(const char *directory, const char *const *arguments);
/* The same; prepare is called in the new process before the program begins, and gives 0 if all is well. */
struct program_result program_run_prepared(const char *directory, const char *const *arguments,
                                           int (*prepare)(void *arg), void *arg);
/* Its absolute path, which the caller frees. */
char *program_path(void);
void program_result_free(struct program_result *result);

/* Fails the test unless it ended so: with one line of errors that holds err_part, or, where that is NULL, with none. Frees it. */
void program_assert_ends(struct program_result result, int exit_code, const char *err_part);
/* Fails the test unless it ended well and printed part. Frees it. */
void program_assert_prints(struct program_result result, const char *part);

/* Is another program installed? PATH is searched. */
bool program_is_installed(const char *name);

/* Lines of a text; a last one without a newline counts. */
size_t program_lines(const char *text);

#endif
