/*
 * A checkpoint of several files, read at offsets as if they lay one behind the other (docs/formats.md, "File sets").
 *
 * Files are opened when they are read from and closed when others are wanted, so that a set of thousands of files takes
 * few descriptors and no more memory than a few containers.
 */
#ifndef MTH_HARNESS_SET_FILES_H
#define MTH_HARNESS_SET_FILES_H

#include "harness/set_plan.h"
#include "pipeline/mithril.h"

struct mth_set_files;

/*
 * Open the files of a plan, which is taken over, whatever comes back.
 *
 * Shape     path: as the user gave it, borrowed; n_threads: how many may read side by side
 * Errors    MTH_ERR_NOT_FOUND for a file that is not there, those of the index or the metadata, those of opening
 */
int mth_set_files_open(struct mth_set_files **set, const char *path, struct mth_set_plan *plan,
                       size_t n_threads, struct mth_memory *memory, struct mth_error *err);
void mth_set_files_close(struct mth_set_files *set);

/* Does any of its files need a base? */
bool mth_set_files_need_base(const struct mth_set_files *set);

/* The base of those that need one; borrowed. What does not fit it is refused when it is read. */
void mth_set_files_set_base(struct mth_set_files *set, const struct mth_stream_base *base);

/* Is a file of this name, the container's suffix left out, one of them? */
bool mth_set_files_have(const struct mth_set_files *set, const char *name);

/* Is a path one of its files? */
bool mth_set_files_hold(const struct mth_set_files *set, const char *path);

/* The names of the shards that an index has, by name. Errors: those of opening and reading it. */
int mth_set_shards_of(const char *index_path, struct mth_names *shards, struct mth_error *err);

void mth_set_files_source(struct mth_set_files *set, struct mth_source *source);

/* Map all of it. *n_unlisted: tensors of shards that the index does not name. Errors: those of the formats; MTH_ERR_FORMAT
 * for a weight that is not where the index says. */
int mth_set_files_map(struct mth_set_files *set, struct mth_region_map *map, size_t *n_unlisted,
                      struct mth_error *err);

#endif
