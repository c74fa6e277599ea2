/*
 * An encoder's block, and which of its elements have flags: all, those of the groups that a map names, or those of the rows that
 * one does. See spec.md, "The map" and "Rows".
 */
#ifndef MTH_CODECS_ULP_MAP_H
#define MTH_CODECS_ULP_MAP_H

#include "base/hash.h"
#include "codecs/ulp_rans/ulp_rows.h"
#include "codecs/ulp_rans/ulp_symbols.h"

struct mth_ulp_digests {
    struct mth_hash64_pieces src, base;
};

/* A block on its way to bytes. */
struct mth_ulp_block {
    struct mth_ulp_state *state;
    const struct mth_ulp_format *format;
    const uint8_t *src, *base, *older; /* older: NULL where there is none */
    size_t n_elems, n_groups, n_full;  /* groups; those that are whole */
    size_t n_changed, n_active;        /* elements; groups with any */
    struct mth_ulp_parts parts;        /* what steps became, */
    size_t n_split;                    /* so many of them; the state's steps are those behind */
    uint8_t *extra;                    /* where the parts' bits begin; NULL: there was no room for them */
    uint8_t *at, *end;                 /* the output */
    struct mth_ulp_rows rows;          /* row: 0 where none are known; else the map may go by them */
    bool has_turns, has_rows;          /* some block's signs are turns, some block's map goes by rows */
    struct mth_ulp_digests *digests;   /* of what was read; NULL: not wanted */
};

/* How many elements have each context, estimated; in the groups that numbers names, or in all. */
void mth_ulp_count_elements(const struct mth_ulp_block *block, const uint32_t *numbers, size_t n_groups,
                            uint64_t elements[MTH_ULP_CONTEXTS]);

/*
 * Whether a map pays, by the block's masks. Then its bytes are in the state's map_coded, and counts are those of the elements that it names.
 *
 * Shape     counts: of all elements, and of symbols; in_rows: it goes by rows
 * Returns   the bytes of the map, 0 where all elements have flags
 */
size_t mth_ulp_map_choose(struct mth_ulp_block *block, struct mth_ulp_counts *counts, bool *in_rows);

#endif
