/*
 * Directories that are coded as a whole: those of which an optimizer keeps in one file what it has for weights in another, so that
 * neither can be told from the other where each has a container of its own. Such a directory becomes one container, of the
 * folder that it is (folder_files.h), in the directory that the output is; what is in it is then found by its name below.
 */
#ifndef MTH_HARNESS_WHOLE_DIRECTORY_H
#define MTH_HARNESS_WHOLE_DIRECTORY_H

#include "harness/opened.h"

/*
 * Open a directory as one file, with its map, if it is to be coded as a whole.
 *
 * Shape     *is_whole: it is open; else there is nothing to close
 * Errors    MTH_ERR_NO_MEMORY; what can not be read is not coded as a whole
 * Cost      heads of its files are read; what is open holds the map
 */
int mth_whole_open(struct mth_opened *opened, const char *path, struct mth_memory *memory, bool *is_whole,
                   struct mth_error *err);

#endif
