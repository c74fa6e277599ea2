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

/* What an operand names, or what is in a directory that one names. */
struct mth_walked {
    const char *input;
    const char *output; /* NULL where there are none */
    const char *
        place; /* where it lies below its operand; that of an operand itself is its name, of a directory "." */
    bool
        is_below; /* it lies in a directory that is gone through, and the output in the one that this becomes */
};

/* Does one file. Errors are printed by the caller, who goes on with the next. */
typedef int mth_file_work(void *arg, const struct mth_walked *file, struct mth_error *err);

/* Does a directory as a whole, if it is to be; *is_done then, or where an error comes back: what is in it is not gone through. */
typedef int mth_directory_work(void *arg, const struct mth_walked *directory, bool *is_done,
                               struct mth_error *err);

/*
 * Call work for every file that the operands name: a file's output is its name with or without the suffix, or
 * options->output; a directory's are the same names in a directory of their own, unless it is done as a whole. Where names are
 * added to, the index of a sharded model (*.index.json) brings its shards, and options->output is then a directory, as it is
 * with several operands. A directory that was made stays where anything came to be in it, or nothing failed. Where nothing is written, a
 * directory without a file for work is an error. Prints each error and goes on.
 *
 * Shape     whole: NULL where no directory is done as a whole
 * Returns the exit code of the first error, or 0.
 */
int mth_file_walk(const struct mth_options *options, const struct mth_naming *naming, mth_file_work *work,
                  mth_directory_work *whole, void *arg);

#endif
