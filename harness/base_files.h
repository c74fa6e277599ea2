/*
 * The bases of the files that a command goes through: what --base names for each of them.
 *
 * Where --base is a file or an index it is the base of all. Where it is a directory, the base of a file is looked for in it, at
 * the place that the file has below its operand: the set that lies there (set_plan.h), or, for what is none of its
 * files, the file of the same name; containers count as what they restore to. What is coded as a whole (whole_directory.h) goes
 * against all that is there.
 */
#ifndef MTH_HARNESS_BASE_FILES_H
#define MTH_HARNESS_BASE_FILES_H

#include "harness/opened.h"

struct mth_base_files {
    const struct mth_options *options;
    size_t n_threads;
    struct mth_memory *memory;
    bool are_directories;
    struct mth_opened_chain chain; /* opened now */
    char **paths;                  /* of its links, owned; NULL where they are those of the options */
    char *place;                   /* below the directories of the set that it is; NULL: it is no set */
};

/*
 * Errors: MTH_ERR_USAGE for directories beside files; those of opening a base that is one for all. Nothing to do without
 * --base. Close it also after an error.
 */
int mth_base_files_open(struct mth_base_files *bases, const struct mth_options *options, size_t n_threads,
                        struct mth_memory *memory, struct mth_error *err);
void mth_base_files_close(struct mth_base_files *bases);

/*
 * Is each file's base a matter of its own, and may there be none? So it is where the bases are directories, or a checkpoint
 * of several files, of which one need not hold anything of a file.
 */
bool mth_base_files_vary(const struct mth_base_files *bases);

/*
 * The base of a file.
 *
 * Shape     place: where the file lies below its operand, the container's suffix left out or not; *base: NULL for none,
 *           borrowed until the next call
 * Errors    those of opening it
 */
int mth_base_files_pick(struct mth_base_files *bases, const char *place, struct mth_opened **base,
                        struct mth_error *err);

/*
 * The same of a directory as a whole: all that lies at its place, or the container that stands for it; where --base names a file, that.
 *
 * Shape     place: of the directory below its operand, "." for the operand itself; *base: NULL for none: a set is none
 */
int mth_base_files_pick_whole(struct mth_base_files *bases, const char *place, struct mth_opened **base,
                              struct mth_error *err);

/* The same; NULL too where nothing of the checkpoint, which is open with its map, is in it. */
int mth_base_files_choose_whole(struct mth_base_files *bases, const struct mth_opened *input,
                                const char *place, struct mth_opened **base, struct mth_error *err);

/*
 * The base that a container needs, which is given to it: as a whole where its name says so, and then or otherwise as a file.
 *
 * Shape     place: of the container; opened: one that needs a base; *base: NULL where there is none
 * Errors    those of opening one; MTH_ERR_BASE where none fits
 */
int mth_base_files_fit(struct mth_base_files *bases, const char *place, struct mth_opened *opened,
                       struct mth_opened **base, struct mth_error *err);

/* Errors: MTH_ERR_USAGE when an output is a file of the bases that are open now. */
int mth_base_files_spare(const struct mth_base_files *bases, const char *output, struct mth_error *err);

/*
 * Give one checkpoint that is open the base that it needs, if it needs one and there is one: that of its name, or of several
 * files what --base names as it is. Errors: those of opening it, MTH_ERR_BASE where it does not fit.
 */
int mth_base_files_give(struct mth_base_files *bases, struct mth_opened *opened, struct mth_error *err);

#endif
