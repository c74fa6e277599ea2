/* Output files of commands: never over what is there unasked, never over an input, never half. */
#ifndef MTH_HARNESS_OUTPUT_H
#define MTH_HARNESS_OUTPUT_H

#include "base/bytes.h"
#include "base/flow.h"
#include "base/status.h"
#include "pipeline/mithril.h"

#include <stdbool.h>

/*
 * May this path be written? Call before any work is done.
 * Shape     inputs: n_inputs paths, NULL ones are skipped
 * Errors    MTH_ERR_USAGE when it exists and force is not set, or is one of the inputs; MTH_ERR_IO when it is no
 *           regular file. "-" is standard output and always may.
 */
int mth_output_check(const char *path, bool force, const char *const *inputs, size_t n_inputs,
                     struct mth_error *err);

/*
 * Write a file so that it is whole or not there. Errors: MTH_ERR_IO; MTH_ERR_CANCELLED when an interrupt or
 * termination was asked for meanwhile: nothing is left behind.
 */
int mth_output_write(const char *path, struct mth_bytes content, struct mth_error *err);

/*
 * An output that is written as it is made: a file that is whole or not there, or standard output for "-". From open to
 * close an interrupt is only noted, so that whoever writes can stop in good order.
 */
struct mth_output {
    const char *path;
    struct mth_file_writer *writer; /* NULL: standard output */
    struct mth_sink sink;
};
int mth_output_open(const char *path, struct mth_output *output, struct mth_error *err);
/* status: of what was written; on an error nothing stays. attributes: NULL for none. Returns the first failure. */
int mth_output_close(struct mth_output *output, int status, const struct mth_file_attributes *attributes,
                     struct mth_error *err);
/* The same for whoever writes otherwise: from watch to unwatch an interrupt is only noted. */
void mth_output_watch(void);
void mth_output_unwatch(void);
/* Was an interrupt noted since the last output was opened, or watching began? */
bool mth_output_interrupted(void);

/* The program's standard output, to its end. Errors: MTH_ERR_IO when not all of it could be written. */
int mth_output_finish(struct mth_error *err);

#endif
