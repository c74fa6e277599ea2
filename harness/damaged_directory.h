/* What is left of a directory that is one container as a whole, where that is damaged. */
#ifndef MTH_HARNESS_DAMAGED_DIRECTORY_H
#define MTH_HARNESS_DAMAGED_DIRECTORY_H

#include "formats/folder.h"
#include "harness/opened.h"

struct mth_damaged {
    struct mth_opened opened;
    struct mth_folder folder;
    bool *lost; /* of each entry; NULL: nothing is known */
    size_t n_files, n_lost;
};

/*
 * Look which files the damage took: each other one was read to its end, and all that it needed restored to the bytes that its digests say.
 *
 * Shape     base: NULL where it was coded alone
 * Errors    those of opening it and of its list, of which nothing can be told then; MTH_ERR_BASE, MTH_ERR_CANCELLED. Close it also after an
 *           error
 * Cost      each file is decoded, on one thread, and what it shares with others again for them
 */
int mth_damaged_look(struct mth_damaged *damaged, const char *path, const struct mth_stream_base *base,
                     struct mth_memory *memory, struct mth_error *err);
/* A line for each file that is lost, on standard error. */
void mth_damaged_tell(const struct mth_damaged *damaged);
/* Makes the directory of the others (mth_folder_unpack). */
int mth_damaged_write(const struct mth_damaged *damaged, const char *output, struct mth_error *err);
void mth_damaged_close(struct mth_damaged *damaged);

#endif
