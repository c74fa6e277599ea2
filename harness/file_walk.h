/* The operands of compress, decompress and verify: files, "-", directories with all that is in them, indexes with their shards. */
#ifndef MTH_HARNESS_FILE_WALK_H
#define MTH_HARNESS_FILE_WALK_H

#include "base/status.h"
#include "harness/options.h"

/* How the name of an output follows from that of an input. */
struct mth_naming {
    const char *suffix; /* ".mth" */
    /* It is added to names, else taken away; files without it are then passed over in directories. */
    bool adds;
    bool reads_only; /* there are no outputs: they are NULL */
};

/* Does one file. place: where it lies below its operand. Errors are printed by the caller, who goes on with the next. */
typedef int mth_file_work(void *arg, const char *input, const char *output, const char *place,
                          struct mth_error *err);

/*
 * Call work for every file that the operands name: a file's output is its name with or without the suffix, or
 * options->output; a directory's are the same names in a directory of their own. Where names are added to, the index of a
 * sharded model (*.index.json) brings its shards, and options->output is then a directory, as it is with several
 * operands. Where nothing is written, a directory without a file for work is an error. Prints each error and goes on. Returns the exit code of the first, or 0.
 */
int mth_file_walk(const struct mth_options *options, const struct mth_naming *naming, mth_file_work *work,
                  void *arg);

#endif
