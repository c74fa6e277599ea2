/* The memory that a command may take: what --memory says, else what the machine has. */
#ifndef MTH_HARNESS_MEMORY_LIMIT_H
#define MTH_HARNESS_MEMORY_LIMIT_H

#include "harness/options.h"
#include "pipeline/mithril.h"

struct mth_memory_limit {
    struct mth_memory
        *memory; /* an account with that limit, in which the program and its threads are counted already */
    size_t own_bytes; /* for those */
};

/* False when there is no memory for an account. End it also then. */
bool mth_memory_limit_begin(const struct mth_options *options, size_t n_threads,
                            struct mth_memory_limit *limit);
void mth_memory_limit_end(struct mth_memory_limit *limit);

/* Says of a failure for lack of memory whose limit it was. Returns its status: MTH_ERR_LIMIT where there is one. */
int mth_memory_limit_name(const struct mth_options *options, int status, struct mth_error *err);

#endif
