/* A checkpoint in memory, be it one file or several, with its map. */
#ifndef MTH_HARNESS_CHECKPOINT_FILE_H
#define MTH_HARNESS_CHECKPOINT_FILE_H

#include "base/bytes.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "base/status.h"
#include "formats/region_map.h"
#include "harness/opened.h"
#include "pipeline/mithril.h"

#include <stdbool.h>

/* checkpoint.map points to map: a struct mth_loaded stays where it was filled. */
struct mth_loaded {
    struct mth_checkpoint checkpoint;
    struct mth_region_map map;
    struct mth_buffer bytes;
    struct mth_memory *memory;
    size_t n_files; /* of a directory that was read as one file; 0 of anything else */
};

/*
 * Read a checkpoint whole and map it; of several files (set_plan.h) the bytes lie one behind the other.
 *
 * Shape     raw_dtype: of a file that is to be taken as raw elements, MTH_N_DTYPES for one that describes
 *           itself; path is borrowed by nothing
 * Errors    those of reading a file; MTH_ERR_FORMAT, MTH_ERR_TRUNCATED, ... with file, tensor and offset.
 *           Nothing is then to be freed.
 * Cost      the file, and its map, on the account
 */
int mth_loaded_open(const char *path, enum mth_dtype raw_dtype, struct mth_memory *memory,
                    struct mth_loaded *loaded, struct mth_error *err);

/*
 * The same; a directory is one file with all that is in it (folder_files.h), or what the container restores to that stands for it; as a
 * base also what containers of its files restore to (mth_opened_open_base).
 */
int mth_loaded_open_whole(const char *path, bool as_base, struct mth_memory *memory,
                          struct mth_loaded *loaded, struct mth_error *err);

/* The same of a checkpoint that is open, which stays so. */
int mth_loaded_take(struct mth_opened *opened, enum mth_dtype raw_dtype, struct mth_loaded *loaded,
                    struct mth_error *err);

static inline struct mth_bytes mth_loaded_bytes(const struct mth_loaded *loaded)
{
    return (struct mth_bytes){loaded->bytes.data, loaded->bytes.n_bytes};
}

void mth_loaded_close(struct mth_loaded *loaded);

#endif
