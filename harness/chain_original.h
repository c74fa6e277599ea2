/* Originals of steps at hand: the one to be coded, and the one that it is coded against. */
#ifndef MTH_HARNESS_CHAIN_ORIGINAL_H
#define MTH_HARNESS_CHAIN_ORIGINAL_H

#include "base/hash.h"
#include "base/scratch.h"
#include "harness/opened.h"

/* Stays where it was filled. All zeros is none. */
struct mth_chain_original {
    bool is_there;
    uint64_t number;
    struct mth_opened opened; /* with its map */
    struct mth_scratch scratch;
    bool has_scratch;
    char *path;                            /* of a file that was found, owned; NULL for any other */
    char name[MTH_CHAIN_NAME_BYTES];       /* of what was restored */
    struct mth_file_attributes attributes; /* of a file when it was opened, or that its container keeps */
    bool is_opaque;
    struct mth_error why; /* it is opaque */
};

/* Two of them: what is needed next is often one of the last two. */
struct mth_chain_pair {
    struct mth_chain_original slots[2];
    size_t base; /* the slot of the base; the other one is the input's */
};

/* What restoring needs. */
struct mth_chain_place {
    const struct mth_chain *chain;
    const char *directory, *scratch_directory;
    const char *beside; /* a directory where originals may still lie; NULL: none */
    struct mth_stream_config config;
};

struct mth_chain_original *mth_chain_pair_input(struct mth_chain_pair *pair);
const struct mth_chain_original *mth_chain_pair_base(const struct mth_chain_pair *pair);
void mth_chain_pair_close(struct mth_chain_pair *pair);

/*
 * Make a step's original the base: one of the two, the file of its name where that still has its bytes, or restored. Errors: those of mth_chain_restore, and of
 * mapping. Call it before the input is filled.
 */
int mth_chain_pair_take_base(struct mth_chain_pair *pair, const struct mth_chain_place *place, size_t index,
                             struct mth_error *err);
/* Make a step the input, restored and compared with the XXH3-128 that the chain has of it. */
int mth_chain_pair_restore(struct mth_chain_pair *pair, const struct mth_chain_place *place, size_t index,
                           struct mth_error *err);
/*
 * The input becomes what its step restores to, whatever the chain says that this is: of a lossy step that was just coded.
 * Shape     *xxh3: its XXH3-128. Errors: those of restoring and mapping
 */
int mth_chain_pair_take_restored(struct mth_chain_pair *pair, const struct mth_chain_place *place,
                                 size_t index, struct mth_digest *xxh3, struct mth_error *err);
/* Make a file, or a directory with all its files, the input. path: borrowed. Errors: those of opening and mapping. */
int mth_chain_pair_open(struct mth_chain_pair *pair, const char *path, uint64_t number, enum mth_dtype dtype,
                        struct mth_memory *memory, struct mth_error *err);
/* Is a file still as it was when it was opened? Errors: MTH_ERR_IO. */
int mth_chain_original_check(const struct mth_chain_original *original, struct mth_error *err);

/*
 * What a chain notes of an original: XXH3-128 of a file, and of a directory as one file of all but when its files were
 * written. Errors: those of reading, and of the list of a directory's files.
 */
int mth_chain_original_digest(const struct mth_source *source, bool is_folder, struct mth_memory *memory,
                              struct mth_digest *xxh3, struct mth_error *err);

#endif
