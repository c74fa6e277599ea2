/* Running another program to its end, without a shell. */
#ifndef MTH_HARNESS_CHILD_H
#define MTH_HARNESS_CHILD_H

#include "base/status.h"

#include <stddef.h>

/*
 * Run argv[0], found on PATH, with a NULL-terminated argv, and wait for it.
 *
 * Shape     out: what it writes to standard output, at most capacity - 1 bytes and a NUL, the rest is
 *           dropped; NULL discards all of it
 * Errors    MTH_ERR_NOT_FOUND when no such program is installed; MTH_ERR_CANCELLED when an interrupt from
 *           the terminal ended it; MTH_ERR_LIBRARY when it exits with another code than 0, with the last
 *           line of its standard error; MTH_ERR_IO, MTH_ERR_NO_MEMORY
 * Cost      standard input is empty; while it runs, an interrupt from the terminal ends the child and not
 *           the caller, who then still cleans up
 */
int mth_child_run(const char *const *argv, char *out, size_t capacity, struct mth_error *err);

/* What starts this program again: its own file where the system tells, else what mth_child_remember was given. */
const char *mth_child_self(void);
void mth_child_remember(const char *argv0);

#endif
