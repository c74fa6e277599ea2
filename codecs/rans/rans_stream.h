/* What encoder, decoder and models of the codec share; spec.md describes the bytes. */
#ifndef MTH_CODECS_RANS_STREAM_H
#define MTH_CODECS_RANS_STREAM_H

#include "codecs/codec.h"
#include "codecs/rans/rans_histogram.h"
#include "codecs/rans/rans_narrow.h"
#include "codecs/rans/rans_wide.h"

/* The first byte of a stream: mode, whether the table is the job's model, log2 of the lanes. */
enum mth_rans_mode {
    MTH_RANS_RAW = 0,
    MTH_RANS_CONSTANT = 1,
    MTH_RANS_SPARSE = 2,
    MTH_RANS_NARROW = 3,
    MTH_RANS_WIDE = 4
};

enum { MTH_RANS_MODE_MASK = 7, MTH_RANS_SHARED = 8, MTH_RANS_LANES_SHIFT = 4, MTH_RANS_LANES_MASK = 7 };

/* A table that streams share; mode is narrow or wide, and says which of the two there is. */
struct mth_rans_model {
    enum mth_rans_mode mode;
    struct mth_rans_narrow_table narrow;
    struct mth_rans_wide_table wide;
};

/* The options, by number. */
enum { MTH_RANS_OPTION_AIM };
enum { MTH_RANS_AIM_SPEED, MTH_RANS_AIM_SIZE };

struct mth_rans_state {
    struct mth_memory *memory;
    bool for_size;
    const struct mth_rans_narrow_kernels *kernels;
    const struct mth_rans_wide_kernels *wide_kernels;
    struct mth_rans_model own[2]; /* inline tables: of two streams that are decoded side by side */
};

/*
 * Which table a sample of n bytes is best coded with: narrow, unless wide is smaller (by a 64th, where speed counts); or
 * none (raw), when neither makes bytes fewer.
 *
 * Shape     out: its mode and that table are filled, but not prepared for coding; estimate: bytes of a stream of n with it
 */
void mth_rans_choose_table(const struct mth_rans_counts *counts, size_t n, bool for_size,
                           struct mth_rans_model *out, uint64_t *estimate);

/* Lanes of a stream of n bytes: states cost bytes, and few bytes need no speed. */
size_t mth_rans_narrow_lanes(size_t n);
size_t mth_rans_wide_lanes(size_t n);

extern const struct mth_model_ops mth_rans_models;

int mth_rans_encode(void *state, struct mth_encode_job *job);
int mth_rans_decode(void *state, struct mth_decode_job *jobs, size_t n_jobs);

#endif
