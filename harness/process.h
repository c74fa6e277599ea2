/*
 * Another program in a process of its own, driven through its standard input and output: peers, and the programs that
 * `compare` lets run in turn. Its standard error goes to a temporary file, whose last line is told when it ends.
 */
#ifndef MTH_HARNESS_PROCESS_H
#define MTH_HARNESS_PROCESS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { MTH_PROCESS_AHEAD_BYTES = 4096 };

struct mth_process {
    const char *who; /* for messages: "the peer"; borrowed */
    pid_t pid;       /* 0 once it has ended */
    int exit_code;   /* of one that ended; 128 + the signal that ended it */
    int to, from;
    FILE *messages;
    double limit_seconds; /* for one answer */
    uint64_t deadline_ns;
    /* What was read behind the last line. */
    char ahead[MTH_PROCESS_AHEAD_BYTES];
    size_t ahead_begin, ahead_end;
};

/*
 * Start argv[0], found on PATH, with a NULL-terminated argv, without a shell. Stop it in any case.
 *
 * Errors    MTH_ERR_NOT_FOUND when there is no such program; MTH_ERR_IO. Of the calls below: MTH_ERR_LIBRARY for a
 *           process that ends before it is done, with the last line of its standard error; MTH_ERR_LIMIT for one that
 *           has not answered by the deadline; MTH_ERR_IO
 */
int mth_process_start(struct mth_process *process, const char *who, char *const *argv, double limit_seconds,
                      struct mth_error *err);

/* Its time for an answer begins now. */
void mth_process_set_deadline(struct mth_process *process);

int mth_process_write(struct mth_process *process, const void *data, size_t n_bytes, struct mth_error *err);

/* Errors: also MTH_ERR_LIBRARY for a line that does not fit. The newline is left out. */
int mth_process_read_line(struct mth_process *process, char *line, size_t capacity, struct mth_error *err);

int mth_process_read(struct mth_process *process, void *out, size_t n_bytes, struct mth_error *err);

/* All that it still writes, and its end. Errors: also MTH_ERR_LIBRARY for another exit code than 0. */
int mth_process_finish(struct mth_process *process, FILE *out, struct mth_error *err);

/* Ends it, whatever it does. One that was never started is fine when it is zeroed. */
void mth_process_stop(struct mth_process *process);

#endif
