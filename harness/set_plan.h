/*
 * Which files are one checkpoint: the index of a sharded model with its shards, a directory of shards, a directory of
 * torch.distributed.checkpoint. Every file may lie there as it is or as a container with MTH_CONTAINER_SUFFIX.
 */
#ifndef MTH_HARNESS_SET_PLAN_H
#define MTH_HARNESS_SET_PLAN_H

#include "harness/directory.h"

enum mth_set_kind {
    MTH_SET_NONE,   /* a file, or a directory that holds no set */
    MTH_SET_INDEX,  /* lead: the index, which names the others */
    MTH_SET_SHARDS, /* no lead: the names of the shards say which belong together */
    MTH_SET_DCP     /* lead: .metadata, which names the others */
};

struct mth_set_plan {
    enum mth_set_kind kind;
    char *directory;
    char *lead;              /* its name, the container's suffix left out; NULL: there is none */
    struct mth_names shards; /* of MTH_SET_SHARDS, in their order, suffixes left out */
};

/*
 * Look what a path is: an index (*.index.json), a .metadata file, a directory that holds one of the two, or shards named
 * PREFIX-00001-of-00002.EXT.
 *
 * Shape     MTH_SET_NONE for anything else, also for what is not there
 * Errors    MTH_ERR_FORMAT for shards that are not all there, MTH_ERR_USAGE for a directory of which it can not be told
 *           which of several sets is meant, those of listing; then there is nothing to free
 */
int mth_set_plan_find(const char *path, struct mth_set_plan *plan, struct mth_error *err);
void mth_set_plan_free(struct mth_set_plan *plan);

/* Is it the index of a sharded model, going by its name? And is it that or .metadata: a file that tells of others? */
bool mth_set_is_index(const char *path);
bool mth_set_is_lead(const char *path);

/* A file's name without the container's suffix; allocated. */
char *mth_set_plain_name(const char *name);

/* directory/name, or the container of it where only that is there; allocated, NULL when neither is. */
char *mth_set_path(const char *directory, const char *name);

#endif
