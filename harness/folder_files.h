/* A directory of files as one file (formats/folder.h), read where they lie; and such a file as a directory again. */
#ifndef MTH_HARNESS_FOLDER_FILES_H
#define MTH_HARNESS_FOLDER_FILES_H

#include "base/file.h"
#include "base/scratch.h"
#include "pipeline/mithril.h"

struct mth_folder;
struct mth_folder_files;

/*
 * Open a directory with all that is in it, at any depth. Files are opened when they are read from.
 * Errors    MTH_ERR_IO for what is neither file nor directory, and for a link to a directory; MTH_ERR_LIMIT for a name that
 *           is too long; those of listing, MTH_ERR_NO_MEMORY; then there is nothing to close
 */
int mth_folder_files_open(struct mth_folder_files **files, const char *path, struct mth_memory *memory,
                          struct mth_error *err);
/*
 * The same of a directory whose files were compressed one by one: containers that need no base are what they restore to, under its name; where
 * a file of that name is there as well, that counts. n_threads: how many may read side by side.
 */
int mth_folder_files_open_packed(struct mth_folder_files **files, const char *path, size_t n_threads,
                                 struct mth_memory *memory, struct mth_error *err);
void mth_folder_files_close(struct mth_folder_files *files);

/* Does the name of any file end so? */
bool mth_folder_files_have(const struct mth_folder_files *files, const char *suffix);

/* It borrows the files. */
void mth_folder_files_source(struct mth_folder_files *files, struct mth_source *source);

/* Mode and time of the directory itself. */
struct mth_file_attributes mth_folder_files_attributes(const struct mth_folder_files *files);

/* Is every file still as it was when they were opened? Errors: MTH_ERR_IO. */
int mth_folder_files_check(const struct mth_folder_files *files, struct mth_error *err);

/* Bytes of a folder that is one file without what says when its files were written. Errors: those of reading its list. */
int mth_folder_content(const struct mth_source *source, struct mth_memory *memory, struct mth_source *content,
                       struct mth_error *err);

/* May this directory be made? Errors: MTH_ERR_USAGE where something is there that is not an empty directory. */
int mth_folder_output_check(const char *path, struct mth_error *err);

/*
 * Of which files can bytes not be had? lost: one for each entry of the folder, of which those are set that damage took
 * (mth_folder_is_damage). Returns with other errors at once; stop as below.
 */
int mth_folder_find_lost(const struct mth_source *source, const struct mth_folder *folder, bool *lost,
                         bool (*stop)(void), struct mth_memory *memory, struct mth_error *err);
/* Does an error of reading say that the bytes are not what they were? */
bool mth_folder_is_damage(int status);

/*
 * Make a directory of a folder that is one file: beside its place, under a name of its own (NAME.mithril-XXXXXX), synced, and
 * renamed when all of it is there; an empty directory of its name may be there. On an error nothing stays.
 *
 * Shape     stop: asked between pieces, true ends it; NULL: never; lost: as above, what is left out, or NULL; modes and times that are lost are
 *           then left as the system sets them
 * Errors    MTH_ERR_IO, MTH_ERR_CANCELLED, MTH_ERR_NO_MEMORY, those of the list
 */
int mth_folder_unpack(const struct mth_source *source, const char *path,
                      const struct mth_file_attributes *attributes, const bool *lost, bool (*stop)(void),
                      struct mth_memory *memory, struct mth_error *err);

/*
 * A directory that is restored from a container of several files: what comes goes to a file without a name beside its place, of which
 * the directory is made when all of it is there. From open to close an interrupt is only noted, as it is for an output that
 * is a file (output.h).
 */
struct mth_folder_output {
    const char *path; /* borrowed */
    struct mth_scratch scratch;
    struct mth_sink sink;
};
int mth_folder_output_open(const char *path, struct mth_folder_output *output, struct mth_error *err);
/* status: of what was put; on an error nothing stays. Returns the first failure. */
int mth_folder_output_close(struct mth_folder_output *output, int status,
                            const struct mth_file_attributes *attributes, struct mth_memory *memory,
                            struct mth_error *err);

#define MTH_FOLDER_UNFINISHED ".mithril-" /* and six letters, behind the name of what it is to become */

/* Is it the name of a directory that is being made, or was when its process ended? */
bool mth_folder_is_unfinished(const char *name);

/*
 * Make the directory that is to become `path`, held by a lock as long as the descriptor is open, which keeps others from clearing it.
 * The name is allocated. Errors: MTH_ERR_IO, MTH_ERR_NO_MEMORY; then there is neither.
 */
int mth_folder_make_unfinished(const char *path, char **directory, int *held, struct mth_error *err);

/*
 * Remove what ended processes left of directories that were to become `path`: those of this user that no process holds. Where the
 * file system has no locks for directories none is removed, and what can not be removed stays: neither is an error.
 */
void mth_folder_clear_unfinished(const char *path);

#endif
