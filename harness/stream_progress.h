/* How far a file is: a bar with rate and time left on a terminal, nothing elsewhere; and whether to stop. */
#ifndef MTH_HARNESS_STREAM_PROGRESS_H
#define MTH_HARNESS_STREAM_PROGRESS_H

#include "harness/progress.h"

#include <stddef.h>
#include <stdint.h>

struct mth_stream_bar {
    struct mth_progress progress;
    const char *name;
    uint64_t begin_ns;
    uint64_t last_ns;
};

void mth_stream_bar_begin(struct mth_stream_bar *bar, const char *name, bool quiet);
/* The progress callback of a struct mth_stream_config; arg is the bar. Cancels when an interrupt was noted. */
int mth_stream_bar_show(void *bar, uint64_t n_done, uint64_t n_total);
/* Takes it away; nanoseconds since it began. */
uint64_t mth_stream_bar_end(struct mth_stream_bar *bar);

/* The most memory that this process had, in bytes, pages of files it mapped included. */
size_t mth_peak_resident_bytes(void);

#endif
