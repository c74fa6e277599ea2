/* Frames in files, as `compress` writes them: an interim form, frame version 0 (docs/frame.md) and nothing else. */
#ifndef MTH_HARNESS_FRAME_FILE_H
#define MTH_HARNESS_FRAME_FILE_H

#include "base/bytes.h"
#include "base/status.h"
#include "pipeline/mithril.h"
#include "pipeline/planner.h"

#include <stdbool.h>
#include <stddef.h>

#define MTH_FRAME_SUFFIX ".mth0"

struct mth_frame_file {
    struct mth_frame_info info;
    size_t chunk_bytes;
    struct mth_bytes specs[MTH_N_PLAN_SPECS]; /* canonical texts, not terminated; they lie in the frame */
    size_t n_specs;
};

/* Does it begin like a frame? */
bool mth_frame_file_claims(struct mth_bytes file);

/* What its index says before the chunks. Errors: those of mth_frame_info, each behind the file's name. */
int mth_frame_file_read(const char *name, struct mth_bytes file, struct mth_frame_file *out,
                        struct mth_error *err);

#endif
