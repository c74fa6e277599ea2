/* Originals of steps at hand: the one to be coded, and those that it is coded against. */
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

/* Three of them: what is needed next is often one of the last ones. */
enum { MTH_CHAIN_SLOTS = 3 };
struct mth_chain_hand {
    struct mth_chain_original slots[MTH_CHAIN_SLOTS];
    size_t input, base, older; /* slots: base and older where there are any, input another one than these */
    bool has_older;
};

/* What restoring needs. */
struct mth_chain_place {
    const struct mth_chain *chain;
    const char *directory, *scratch_directory;
    const char *beside; /* a directory where originals may still lie; NULL: none */
    struct mth_stream_config config;
};

struct mth_chain_original *mth_chain_hand_input(struct mth_chain_hand *hand);
const struct mth_chain_original *mth_chain_hand_base(const struct mth_chain_hand *hand);
/* NULL: there is none. */
const struct mth_chain_original *mth_chain_hand_older(const struct mth_chain_hand *hand);
void mth_chain_hand_close(struct mth_chain_hand *hand);

/*
 * Make originals of steps the bases: each one of those at hand, the file of its name where that still has its bytes, or restored. Call
 * it before the input is filled.
 *
 * Shape     older: n_steps for none
 * Errors    those of mth_chain_restore, and of mapping
 * Cost      where the base has to be restored and is coded against the older one, that comes along
 */
int mth_chain_hand_take_bases(struct mth_chain_hand *hand, const struct mth_chain_place *place, size_t base,
                              size_t older, struct mth_error *err);
/* Make a step the input, restored and compared with the XXH3-128 that the chain has of it. */
int mth_chain_hand_restore(struct mth_chain_hand *hand, const struct mth_chain_place *place, size_t index,
                           struct mth_error *err);
/*
 * The input becomes what its step restores to, whatever the chain says that this is: of a lossy step that was just coded.
 * Shape     *xxh3: its XXH3-128. Errors: those of restoring and mapping
 */
int mth_chain_hand_take_restored(struct mth_chain_hand *hand, const struct mth_chain_place *place,
                                 size_t index, struct mth_digest *xxh3, struct mth_error *err);
/* Make a file, or a directory with all its files, the input. path: borrowed. Errors: those of opening and mapping. */
int mth_chain_hand_open(struct mth_chain_hand *hand, const char *path, uint64_t number, enum mth_dtype dtype,
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
