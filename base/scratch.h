/* Files without a name, for what must be looked at again and is gone with the process, however that ends. */
#ifndef MTH_BASE_SCRATCH_H
#define MTH_BASE_SCRATCH_H

#include "base/flow.h"

#include <stdatomic.h>

/* What one is called for a moment where there are no files without a name: this and six characters. A process that is killed
 * just then leaves it. */
#define MTH_SCRATCH_PREFIX "mithril."
enum { MTH_SCRATCH_SUFFIX_BYTES = 6 };

struct mth_scratch {
    const char *name; /* for messages; borrowed */
    int fd;
    atomic_int
        failed; /* the first status of a write that failed: the place for it is to blame, not what was written */
};

/*
 * Open one in a directory; NULL: TMPDIR, or /tmp where that is not set. Stays where it was opened: its sink points to it.
 * Errors: MTH_ERR_IO.
 */
int mth_scratch_open(const char *directory, const char *name, struct mth_scratch *scratch,
                     struct mth_error *err);
/* Writes from the beginning, in any order. */
void mth_scratch_sink(struct mth_scratch *scratch, struct mth_sink *sink);
/* What was written so far; to be used until the scratch is closed. Errors: MTH_ERR_IO. */
int mth_scratch_source(const struct mth_scratch *scratch, struct mth_source *source, struct mth_error *err);
/* One that was never opened (fd -1) or is closed already is fine. */
void mth_scratch_close(struct mth_scratch *scratch);

#endif
