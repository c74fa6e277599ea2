/*
 * A checkpoint that is read at offsets: a file of any format, a container, which reads like the file it was made of, or
 * several files that are one; with its map. Nothing of it lies in memory but the map.
 */
#ifndef MTH_HARNESS_OPENED_H
#define MTH_HARNESS_OPENED_H

#include "harness/options.h"
#include "pipeline/mithril.h"

enum { MTH_CONTAINER_MAX_CHAIN = 64 };
#define MTH_CONTAINER_SUFFIX ".mth"
#define MTH_WHOLE_NAME       "checkpoint" /* of a directory's container, in its place (whole_directory.h) */

struct mth_set_files;
struct mth_folder_files;

/* Stays where it was filled: its parts point to each other. */
struct mth_opened {
    const char *path;
    char *own_path; /* the path, where nobody else has it */
    struct mth_memory *memory;
    struct mth_source file;
    struct mth_container *container; /* NULL: the file is the checkpoint */
    struct mth_set_files *set;       /* NULL: it is one file */
    struct mth_folder_files *folder; /* NULL: it is no directory that is read as one file */
    struct mth_source source;        /* of the checkpoint */
    struct mth_region_map map;
    struct mth_stream_base base; /* the checkpoint as a base; its map is NULL where there is none */
    bool has_file;
    bool has_map;
};

/*
 * Open a file; a container is one when it begins like one. "-" is standard input, kept in a temporary file.
 * Errors: those of opening, each with the file's name. Close it also after an error.
 */
int mth_opened_open(struct mth_opened *opened, const char *path, size_t n_threads, struct mth_memory *memory,
                    struct mth_error *err);
/* The same, but a container is a file like any other. */
int mth_opened_open_file(struct mth_opened *opened, const char *path, struct mth_memory *memory,
                         struct mth_error *err);
/* The same; a directory is one file with all that is in it (folder_files.h). */
int mth_opened_open_step(struct mth_opened *opened, const char *path, struct mth_memory *memory,
                         struct mth_error *err);
/*
 * The same of a base. A directory of whose files none has tensors as it lies there, as its files were compressed one by one, is what those
 * containers restore to that need no base.
 */
int mth_opened_open_base(struct mth_opened *opened, const char *path, size_t n_threads,
                         struct mth_memory *memory, struct mth_error *err);
/* The same of bytes that are open already, under a name; the source stays the caller's. */
void mth_opened_borrow(struct mth_opened *opened, const char *path, const struct mth_source *source,
                       struct mth_memory *memory);
/*
 * The same, but an index of shards, a .metadata file or a directory of either is all of its files (set_plan.h), and a directory that is
 * one container as a whole is that.
 * Errors: as above, those of set_files.h, MTH_ERR_IO for a directory that is no checkpoint.
 */
int mth_opened_open_any(struct mth_opened *opened, const char *path, size_t n_threads,
                        struct mth_memory *memory, struct mth_error *err);
/* Is this the name of the container that stands for all of the directory that it lies in: checkpoint.mth? */
bool mth_opened_is_whole_name(const char *path);
/* That container of a directory, where it is there; allocated. NULL: it is not, or there is no memory. */
char *mth_opened_whole_path(const char *directory);
/* Open it; *found is false where a directory has none, and then there is nothing to close. Errors: those of mth_opened_open. */
int mth_opened_open_whole(struct mth_opened *opened, const char *directory, size_t n_threads,
                          struct mth_memory *memory, bool *found, struct mth_error *err);
/* Does it need a base to be read? */
bool mth_opened_needs_base(const struct mth_opened *opened);
/* And an older one beside that? */
bool mth_opened_needs_older(const struct mth_opened *opened);
/* Give it the base that it needs, before it is mapped; it borrows what base points to. Errors: MTH_ERR_BASE. */
int mth_opened_set_base(struct mth_opened *opened, const struct mth_stream_base *base, struct mth_error *err);
/* Map it. A .distcp file is looked up in the .metadata beside it, where there is one. Errors: those of the formats. */
int mth_opened_map(struct mth_opened *opened, enum mth_dtype raw_dtype, struct mth_error *err);
/* Map it; what no format reads is one run of opaque bytes, and *why says why. A .metadata file that is of no use is done
 * without. */
int mth_opened_map_any(struct mth_opened *opened, enum mth_dtype raw_dtype, bool *is_opaque,
                       struct mth_error *why, struct mth_error *err);
void mth_opened_close(struct mth_opened *opened);

/*
 * Bases: the first, those that it needs behind it (of each its base with all that this needs, then its older base), and at last an
 * older one for what is coded against the first.
 */
struct mth_opened_chain {
    struct mth_opened *links; /* NULL: none was given */
    size_t n_links;
    const struct mth_stream_base *older; /* of the first; NULL: there is none */
};
/*
 * Open n bases, each with its map where it has one. paths: borrowed; NULL where there is none to be had. is_strict: what is there is
 * meant for this: else an older base that can not be opened for want of its own, or has no map, is done without, and so is what is
 * behind it. as_whole: directories are opened as one file with all that is in them, instead of as the sets that they hold.
 * Errors: MTH_ERR_BASE where one needs a base that is not there and, where it is strict, where one is not needed.
 */
int mth_opened_chain_open_paths(struct mth_opened_chain *chain, const char *const *paths, size_t n,
                                bool is_strict, bool as_whole, enum mth_dtype raw_dtype, size_t n_threads,
                                struct mth_memory *memory, struct mth_error *err);
/* Those of --base. */
int mth_opened_chain_open(struct mth_opened_chain *chain, const struct mth_options *options, size_t n_threads,
                          struct mth_memory *memory, struct mth_error *err);
void mth_opened_chain_close(struct mth_opened_chain *chain);
/* The first link as a base; NULL when there is none. */
const struct mth_stream_base *mth_opened_chain_base(const struct mth_opened_chain *chain);

/* Has any tensor a counterpart in a base? Both are mapped. Errors: MTH_ERR_NO_MEMORY. */
int mth_opened_has_counterparts(const struct mth_opened *opened, const struct mth_opened *base, bool *found,
                                struct mth_error *err);

/* Is a path a file that it is read from? */
bool mth_opened_holds(const struct mth_opened *opened, const char *path);

/* Mode and time of a file, or of the directory that is one; not known for what is neither. */
struct mth_file_attributes mth_opened_attributes(const struct mth_opened *opened);
/* Is it still as it was when these were taken, and it was opened? Errors: MTH_ERR_IO. */
int mth_opened_check(const struct mth_opened *opened, const struct mth_file_attributes *attributes,
                     struct mth_error *err);

/* Puts a path before an error's line unless it is there. Returns the status. */
int mth_opened_blame(const char *path, struct mth_error *err);

#endif
