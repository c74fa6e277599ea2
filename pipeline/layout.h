/*
 * The order in which a container holds a file. Tensors that are predicted from each other - weights, their moments, a copy of
 * fewer bits, a tensor that is there twice - are a family: they are cut alike, and pieces of the same elements stand side
 * by side, so that one bundle restores them together. All else stands before the families, in the order of the file.
 *
 * Offsets in that order are called places. Bundles, pages and the index count places; only what touches the file itself
 * asks here.
 */
#ifndef MTH_PIPELINE_LAYOUT_H
#define MTH_PIPELINE_LAYOUT_H

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_MAX_FAMILY_MEMBERS = 8,
    MTH_MIN_PIECE_ELEMS = 1024 /* of a family that is cut */
};

struct mth_layout_family {
    uint64_t place; /* of its first piece */
    uint64_t n_elems;
    uint32_t piece_elems; /* of all pieces but the last, which has what is left */
    uint32_t first_member;
    uint32_t n_members;
    uint32_t elem_bytes; /* of all members together */
};

struct mth_layout_member {
    uint64_t offset;  /* in the file */
    uint64_t covered; /* by members that begin before it there */
    uint32_t family;
    uint32_t elem_bytes;
    uint32_t before; /* bytes of an element of the members before it in its family */
};

struct mth_layout {
    struct mth_memory *memory;
    uint64_t n_bytes; /* of the file */
    uint64_t n_rest;  /* bytes of no family; the place of the first piece of the first */
    struct mth_layout_family *families;
    size_t n_families, families_capacity;
    struct mth_layout_member *members; /* family by family */
    size_t n_members, members_capacity;
    uint32_t *by_offset; /* members as they lie in the file */
};

void mth_layout_free(struct mth_layout *layout);

/* A family without members, behind those that are there; then its members one by one. Errors: MTH_ERR_NO_MEMORY. */
int mth_layout_add_family(struct mth_layout *layout, uint64_t n_elems, uint32_t piece_elems);
int mth_layout_add_member(struct mth_layout *layout, uint64_t offset, uint32_t elem_bytes);

/*
 * Behind the last: where everything has its place.
 *
 * Errors    MTH_ERR_CORRUPT for families that a file of this size can not have: members that overlap or lie outside, too
 *           many or too few of them, pieces of no elements or of very few; MTH_ERR_NO_MEMORY
 */
int mth_layout_finish(struct mth_layout *layout, uint64_t n_bytes);

/* Where a place is in the file, or an offset of the file among the places, and how many bytes from there on lie side by
 * side in both. Inside the file; a layout without families is the file's own order. */
uint64_t mth_layout_to_file(const struct mth_layout *layout, uint64_t place, uint64_t *n_run);
uint64_t mth_layout_to_place(const struct mth_layout *layout, uint64_t offset, uint64_t *n_run);

#endif
