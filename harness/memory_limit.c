/* The memory that a command may take; see memory_limit.h. */
#include "harness/memory_limit.h"

#include "base/checked.h"
#include "harness/text.h"

#include <unistd.h>

/* Resident before anything is done: code and libraries, measured 5 MiB; of each thread its stack. */
enum { PROGRAM_BYTES = 8 << 20, THREAD_BYTES = 128 << 10 };

static size_t machine_bytes(void)
{
    long n_pages = sysconf(_SC_PHYS_PAGES), n_page = sysconf(_SC_PAGESIZE);
    size_t n_bytes;
    return n_pages > 0 && n_page > 0 && mth_size_mul((size_t)n_pages, (size_t)n_page, &n_bytes) ? n_bytes : 0;
}

bool mth_memory_limit_begin(const struct mth_options *options, size_t n_threads,
                            struct mth_memory_limit *limit)
{
    size_t most = options->memory_bytes ? options->memory_bytes : machine_bytes();
    limit->own_bytes = PROGRAM_BYTES + n_threads * THREAD_BYTES;
    /* A limit below the program itself lets nothing through, which is what it asks for. */
    limit->memory = mth_memory_create(most && most <= limit->own_bytes ? limit->own_bytes + 1 : most);
    return limit->memory && mth_memory_charge(limit->memory, limit->own_bytes);
}

void mth_memory_limit_end(struct mth_memory_limit *limit)
{
    if (limit->memory)
        mth_memory_discharge(limit->memory, limit->own_bytes);
    mth_memory_destroy(limit->memory);
    limit->memory = NULL;
}

int mth_memory_limit_name(const struct mth_options *options, int status, struct mth_error *err)
{
    char text[MTH_TEXT_BYTES];
    if (status != MTH_ERR_NO_MEMORY || !options->memory_bytes)
        return status;
    return mth_error_set(err, MTH_ERR_LIMIT, "needs more than --memory allows (%s); fewer threads need less",
                         mth_text_size(options->memory_bytes, text));
}
