/*
 * A file of a directory that is one container as a whole: it is named as if it lay in the directory that the container is in, as
 * packed/model.safetensors of what is in packed/checkpoint.mth. Restoring it takes that container and its base, no other file.
 */
#ifndef MTH_HARNESS_PACKED_FILE_H
#define MTH_HARNESS_PACKED_FILE_H

#include "harness/opened.h"

/*
 * Take apart a path where nothing lies: the container of the directory that it is in, or of one further up, and the name below that.
 *
 * Shape     container: allocated, NULL where there is none; *name: in the path
 */
char *mth_packed_find(const char *path, const char **name);

/*
 * Write a file of a directory to a sink, out of a container that has the base it needs.
 *
 * Shape     name: of the file, with the container's suffix or not
 * Errors    MTH_ERR_NOT_FOUND, MTH_ERR_USAGE for a directory in it, MTH_ERR_CANCELLED; those of reading
 * Cost      what covers it is decoded, on one thread
 */
int mth_packed_restore(const struct mth_opened *opened, const char *name, struct mth_sink *sink,
                       struct mth_container_stats *stats, struct mth_error *err);

#endif
