/* A directory of steps: the checkpoints of a run, in the order of their step numbers. */
#ifndef MTH_HARNESS_STEP_FILES_H
#define MTH_HARNESS_STEP_FILES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mth_step_file {
    char *path; /* directory/name */
    uint64_t step;
};

struct mth_step_files {
    struct mth_step_file *items; /* by step, ascending */
    size_t n_items;
};

/*
 * List the steps of a directory: regular files named <anything><step>.<ext>, ext one of safetensors, bin, pt, pth, ckpt, and
 * directories named <anything><step> that are checkpoints of several files (set_plan.h). Ordered by number, so that step 9
 * comes before step 10; all else is passed over.
 *
 * Errors    MTH_ERR_NOT_FOUND for no such directory, or one without steps; MTH_ERR_USAGE for two checkpoints of one step;
 *           those of set_plan.h; MTH_ERR_IO, MTH_ERR_NO_MEMORY; each with its line. Nothing is then to be freed
 * Example   a-2.safetensors, a-10.safetensors, notes.txt -> steps 2, 10
 */
int mth_step_files_list(const char *directory, struct mth_step_files *files, struct mth_error *err);
/* The same, but of a directory named <anything><step> somebody else says whether it is a step. */
typedef int mth_step_judge(void *arg, const char *path, bool *is_step, struct mth_error *err);
int mth_step_files_list_judged(const char *directory, mth_step_judge *judge, void *arg,
                               struct mth_step_files *files, struct mth_error *err);
/* The same, but every such directory is a step, whatever its files are. */
int mth_step_files_list_folders(const char *directory, struct mth_step_files *files, struct mth_error *err);
void mth_step_files_free(struct mth_step_files *files);

/* The step that a file's name ends in before its extension (those above); false when it is not the name of a step file. */
bool mth_step_of_file(const char *name, uint64_t *step);

/* The same of a directory, whose name has no extension. */
bool mth_step_of_directory(const char *name, uint64_t *step);

/*
 * Is a directory one step, not a run of them? It is where it holds a checkpoint of several files (set_plan.h), or its name ends
 * in a number and its files are no series of steps, all of one name but for the number: so step-1000 with optimizer states in it, but
 * not lr-5 with step-10.pt and step-20.pt. Errors: MTH_ERR_USAGE where both may be meant: step-10.pt, step-20.pt and best.pt (but files
 * numbered from 0 or 1 on, as ranks are, with others beside are one step); those of listing.
 */
int mth_step_is_directory(const char *path, bool *is_step, struct mth_error *err);

/*
 * May all that is in a directory be one checkpoint? It may where the directory is one step, as above; one whose name has no number may
 * where nothing in it looks like a run: files of one name but for their numbers, or directories of steps. Errors: MTH_ERR_NO_MEMORY;
 * what is not clear may not.
 */
int mth_step_may_be_directory(const char *path, bool *may_be, struct mth_error *err);

#endif
