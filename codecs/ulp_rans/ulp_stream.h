/* What encoder and decoder of ulp-rans share; spec.md describes the bytes. */
#ifndef MTH_CODECS_ULP_STREAM_H
#define MTH_CODECS_ULP_STREAM_H

#include "codecs/codec.h"
#include "codecs/ulp_rans/ulp_kernels.h"
#include "codecs/ulp_rans/ulp_output.h"

/* The first byte of a stream. */
enum mth_ulp_mode {
    MTH_ULP_RAW = 0,
    MTH_ULP_CODED = 1,
    MTH_ULP_DIRECTED = 2,      /* signs given the direction from an older checkpoint */
    MTH_ULP_ROWED = 3,         /* maps by rows, signs given the direction from zero */
    MTH_ULP_ROWED_DIRECTED = 4 /* maps by rows, and directed */
};

/* The first byte of a block: 0 where nothing changed. */
enum {
    MTH_ULP_CHANGES = 1,         /* not set where the map goes by rows */
    MTH_ULP_GROUPED = 2,         /* only groups that a map names have flags */
    MTH_ULP_MANY_FLAG_LANES = 4, /* else 32 */
    MTH_ULP_LANES_SHIFT = 3,     /* log2 of the lanes of symbols, three bits */
    MTH_ULP_LANES_MASK = 7,
    MTH_ULP_CARRIES =
        64, /* states begin with signs, and many lanes are 128, not 64; of a directed stream: no turns */
    MTH_ULP_PACKED = 128 /* the table is packed */
};

/* Lanes of flags, by the head. */
static inline size_t mth_ulp_flag_lanes(uint8_t head)
{
    if (!(head & MTH_ULP_MANY_FLAG_LANES))
        return MTH_ULP_GROUP;
    return head & MTH_ULP_CARRIES ? MTH_ULP_MAX_FLAG_LANES : MTH_ULP_MAX_FLAG_LANES / 2;
}

enum {
    MTH_ULP_BLOCK_ELEMS = 1 << 19,
    MTH_ULP_BLOCK_BYTES = 1 << 20,
    MTH_ULP_BLOCK_GROUPS = MTH_ULP_BLOCK_ELEMS / MTH_ULP_GROUP,
    MTH_ULP_MAP_BYTES = MTH_ULP_BLOCK_GROUPS / 8,
    MTH_ULP_MASK_ARRAYS = 6,
    MTH_ULP_BATCH_GROUPS = 64 /* whose contexts are at hand at once */
};

struct mth_ulp_state {
    struct mth_memory *memory;
    const struct mth_ulp_kernels *kernels;
    void *map_state; /* of the codec rans */
    struct mth_ulp_shuffles shuffles;
    struct mth_ulp_table table;
    /* Of one block. */
    uint8_t *steps;    /* of changed elements, in native lanes */
    uint8_t *contexts; /* of changed elements */
    uint8_t *symbols;
    uint8_t *of_base;  /* an encoder's: contexts of all elements */
    uint8_t *coded;    /* an encoder's, written from the end */
    uint8_t *signs;    /* a decoder's */
    uint32_t *masks;   /* of groups */
    uint32_t *active;  /* masks of the groups that are named by the map */
    uint32_t *numbers; /* which groups these are */
    uint32_t *turns;   /* three arrays, of changed elements: see ulp_turns.h */
    uint8_t map[MTH_ULP_MAP_BYTES];
    uint8_t map_coded[MTH_ULP_MAP_BYTES + 64];
    uint8_t batch[MTH_ULP_BATCH_GROUPS * MTH_ULP_GROUP];     /* contexts */
    uint8_t room[MTH_ULP_OUTPUT_ROOM_BYTES];                 /* a decoder's */
    uint8_t zeros[MTH_ULP_BATCH_GROUPS * MTH_ULP_GROUP * 8]; /* a batch of a base that is not there */
    /* Of the last group, which is filled up with zeros: 8 bytes a lane at most. */
    uint8_t last_src[MTH_ULP_GROUP * 8], last_base[MTH_ULP_GROUP * 8], last_dst[MTH_ULP_GROUP * 8];
};

/* The bytes of an encoder's buffer for what is stored, then flags, then symbols: none is worth more than the block has. */
enum { MTH_ULP_CODED_BYTES = MTH_ULP_BLOCK_BYTES + MTH_ULP_SLACK_BYTES };

enum { MTH_ULP_SIGNS_BYTES = MTH_ULP_BLOCK_ELEMS / 8 };

/* Steps, or two bytes for each element and room behind them, and for the last group of the latter. */
enum { MTH_ULP_STEPS_BYTES = MTH_ULP_BLOCK_BYTES + 3 * MTH_ULP_SLACK_BYTES };

/* Where lanes of a type keep their fields. False: they are not whole lanes, or hold no number. */
bool mth_ulp_format_of(const struct mth_symbol_type *type, struct mth_ulp_format *format);

/* The counterpart in the base; NULL, which stands for zeros, where there is none of as many bytes. */
const uint8_t *mth_ulp_base_of(const struct mth_context *context, size_t n_bytes);

/* The same of the older checkpoint, NULL where there is none, or no base. */
const uint8_t *mth_ulp_older_of(const struct mth_context *context, size_t n_bytes);

/* Elements in blocks but the last. */
static inline size_t mth_ulp_block_elems(const struct mth_ulp_format *format)
{
    size_t most = MTH_ULP_BLOCK_BYTES / (format->lane_bits / 8);
    return most < MTH_ULP_BLOCK_ELEMS ? most : MTH_ULP_BLOCK_ELEMS;
}

/* Groups of a base from `group` on, a batch of them at least; group_bytes each. */
static inline const uint8_t *mth_ulp_base_at(const struct mth_ulp_state *state, const uint8_t *base,
                                             size_t group_bytes, size_t group)
{
    return base ? base + group * group_bytes : state->zeros;
}

/* The groups of n elements. */
static inline size_t mth_ulp_groups(size_t n)
{
    return (n + MTH_ULP_GROUP - 1) / MTH_ULP_GROUP;
}

/*
 * Contexts of groups from `first` on, n of them, a batch at most; a last group that is not full comes from state->last_base.
 *
 * Shape     numbers: which groups these are; NULL: first, first + 1, ...; n_full: groups that lie whole in base; out[32 n]
 */
void mth_ulp_contexts(struct mth_ulp_state *state, const struct mth_ulp_format *format, const uint8_t *base,
                      size_t n_full, const uint32_t *numbers, size_t first, size_t n, uint8_t *out);

/* What is left of n elements behind whole groups, filled up with zeros, from base or src to a group of the state's. */
void mth_ulp_fill_last(const struct mth_ulp_format *format, const uint8_t *from, size_t n_elems,
                       uint8_t *group);

/* Lanes of a stream of n symbols. */
size_t mth_ulp_symbol_lanes(size_t n);

int mth_ulp_encode(void *state, struct mth_encode_job *job);
int mth_ulp_decode(void *state, struct mth_decode_job *jobs, size_t n_jobs);
int mth_ulp_decode_digested(void *state, struct mth_decode_job *job, struct mth_decode_digests *digests);

#endif
