/* The commands of `mithril`, and what their results mean to the shell. */
#ifndef MTH_HARNESS_COMMAND_H
#define MTH_HARNESS_COMMAND_H

#include "base/status.h"

/* argv[0] is the command's own name; what comes back is the exit code. Each prints its help on -h. */
int mth_cmd_compare(int argc, char **argv);
int mth_cmd_chain(int argc, char **argv);
int mth_cmd_compress(int argc, char **argv);
int mth_cmd_datasets(int argc, char **argv);
int mth_cmd_decompress(int argc, char **argv);
int mth_cmd_explore(int argc, char **argv);
int mth_cmd_env(int argc, char **argv);
int mth_cmd_extract(int argc, char **argv);
int mth_cmd_info(int argc, char **argv);
int mth_cmd_list(int argc, char **argv);
int mth_cmd_report(int argc, char **argv);
int mth_cmd_verify(int argc, char **argv);
int mth_cmd_bench(int argc, char **argv);

enum mth_exit {
    MTH_EXIT_OK = 0,
    MTH_EXIT_USAGE = 1,        /* the command line, or a spec in it, makes no sense */
    MTH_EXIT_DATA = 2,         /* bad data, or a verification that failed */
    MTH_EXIT_REGRESSION = 3,   /* a regression, or an unmet --require */
    MTH_EXIT_INCONCLUSIVE = 4, /* measured, but not well enough to tell */
    MTH_EXIT_ENVIRONMENT = 5,  /* the environment, or a memory limit, refused */
    MTH_EXIT_RESOURCES = 6,    /* input, output, memory, a program or library that failed */
    MTH_EXIT_INTERRUPTED = 130
};

/*
 * The exit code of a status. A file that is not there is 6 (nothing is known of its data), one that is
 * malformed is 2; a name that no list has (a dataset, a codec) is MTH_ERR_USAGE and so 1.
 */
int mth_exit_code(int status);

/* Print "mithril: <the error's line>" on standard error, and return the exit code of its status. */
int mth_command_fail(const struct mth_error *err);

#endif
