/*
 * Running `mithril` where system calls fail or kill it, at a moment that is the same in every run: a filter on system calls
 * (seccomp) that the program inherits, so that no clock and no luck is needed.
 */
#ifndef MTH_TESTS_FAULTS_H
#define MTH_TESTS_FAULTS_H

#include "tests/support/program.h"

#include <stdbool.h>
#include <stdint.h>

enum { FAULT_KILLS = -1, FAULT_ENDS = 0 /* the call gives 0, as at the end of a file */ };

/* What happens at a system call. Rules are looked at in order. */
struct fault {
    long number;    /* of the system call: SYS_pwrite64, ... */
    int action;     /* FAULT_KILLS, as kill -9 does, or an errno that it fails with */
    bool at_offset; /* only where its fourth argument, the offset, is at least this */
    uint64_t offset;
};

/* Can this machine do it? Tests that need it skip themselves where not. */
bool faults_are_possible(void);

/* As program_run, under these rules. */
struct program_result faults_run(const char *directory, const char *const *arguments,
                                 const struct fault *faults, size_t n_faults);

#endif
