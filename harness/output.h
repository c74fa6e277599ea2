/* Output files of commands: never over what is there unasked, never over an input, never half. */
#ifndef MTH_HARNESS_OUTPUT_H
#define MTH_HARNESS_OUTPUT_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>

/*
 * May this path be written? Call before any work is done.
 * Shape     inputs: n_inputs paths, NULL ones are skipped
 * Errors    MTH_ERR_USAGE when it exists and force is not set, or is one of the inputs; MTH_ERR_IO when it is no
 *           regular file
 */
int mth_output_check(const char *path, bool force, const char *const *inputs, size_t n_inputs,
                     struct mth_error *err);

/*
 * Write a file so that it is whole or not there. Errors: MTH_ERR_IO; MTH_ERR_CANCELLED when an interrupt or
 * termination was asked for meanwhile: nothing is left behind.
 */
int mth_output_write(const char *path, struct mth_bytes content, struct mth_error *err);

/* The program's standard output, to its end. Errors: MTH_ERR_IO when not all of it could be written. */
int mth_output_finish(struct mth_error *err);

#endif
