/* Coding the steps of a chain: files that are added, and steps that are coded again against another base. */
#ifndef MTH_HARNESS_CHAIN_CODE_H
#define MTH_HARNESS_CHAIN_CODE_H

#include "harness/chain_original.h"

/* A chain that is being written to. All zeros, with its writer's lock -1, is none. */
struct mth_chain_coder {
    struct mth_chain_writer writer;
    struct mth_chain_hand hand;
    struct mth_pipeline *alone, *delta; /* of the chain's spec */
    /* For what is coded again where that spec is lossy: what was lost once is all that is lost. */
    struct mth_pipeline *alone_again, *delta_again;
    struct mth_stream_config config;
};

/*
 * Lock a chain for writing; policy and spec, where they are not NULL, hold for what is added from now on.
 * Errors: those of mth_chain_writer_open; MTH_ERR_SPEC. Close it also after an error.
 */
int mth_chain_coder_open(struct mth_chain_coder *coder, const char *directory, bool create,
                         const char *policy, const char *spec, const struct mth_stream_config *config,
                         struct mth_error *err);
void mth_chain_coder_close(struct mth_chain_coder *coder);

/* What became of a file that was to be added. */
enum mth_chain_outcome {
    MTH_CHAIN_ADDED,
    MTH_CHAIN_WAS_THERE,   /* a step of its number with the same bytes */
    MTH_CHAIN_ADDED_ALONE, /* none of its tensors is in the step that the policy names */
    MTH_CHAIN_MENDED       /* there with the same bytes, but its container was not; it is written again */
};

/*
 * Add a file, or a directory with all its files, as a step: its container is written, then the manifest; until then nothing of it counts. That
 * of a step that is there is written again where it is gone, cut or another one.
 * Errors    MTH_ERR_USAGE for another step of its number; those of reading, mapping, coding and writing
 */
int mth_chain_add(struct mth_chain_coder *coder, const char *path, uint64_t number, enum mth_dtype dtype,
                  enum mth_chain_outcome *outcome, struct mth_error *err);

/*
 * Code a step again as a move says: its container is written beside the old one, and `step` becomes what the chain should
 * have of it. Nothing is committed. Errors: those of restoring and coding.
 */
int mth_chain_recode(struct mth_chain_coder *coder, const struct mth_chain_move *move,
                     struct mth_chain_step *step, struct mth_error *err);

#endif
