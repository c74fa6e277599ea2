/* Places and offsets; see layout.h. */
#include "pipeline/layout.h"

#include "base/checked.h"
#include "pipeline/coder.h"

#include <stdlib.h>
#include <string.h>

void mth_layout_free(struct mth_layout *layout)
{
    if (layout->memory) {
        mth_memory_free(layout->memory, layout->families);
        mth_memory_free(layout->memory, layout->members);
        mth_memory_free(layout->memory, layout->by_offset);
    }
    *layout = (struct mth_layout){.memory = layout->memory};
}

int mth_layout_add_family(struct mth_layout *layout, uint64_t n_elems, uint32_t piece_elems)
{
    int status = mth_array_reserve(layout->memory, &layout->families, &layout->families_capacity,
                                   layout->n_families + 1, sizeof *layout->families);
    if (!status)
        layout->families[layout->n_families++] = (struct mth_layout_family){
            .n_elems = n_elems, .piece_elems = piece_elems, .first_member = (uint32_t)layout->n_members};
    return status;
}

int mth_layout_add_member(struct mth_layout *layout, uint64_t offset, uint32_t elem_bytes)
{
    struct mth_layout_family *family = &layout->families[layout->n_families - 1];
    int status = mth_array_reserve(layout->memory, &layout->members, &layout->members_capacity,
                                   layout->n_members + 1, sizeof *layout->members);
    if (status)
        return status;
    layout->members[layout->n_members++] =
        (struct mth_layout_member){.offset = offset,
                                   .family = (uint32_t)(layout->n_families - 1),
                                   .elem_bytes = elem_bytes,
                                   .before = family->elem_bytes};
    family->elem_bytes += elem_bytes;
    family->n_members++;
    return MTH_OK;
}

static uint64_t member_bytes(const struct mth_layout *layout, const struct mth_layout_member *member)
{
    return layout->families[member->family].n_elems * member->elem_bytes;
}

static bool is_sound(const struct mth_layout *layout, const struct mth_layout_family *family)
{
    if (family->n_members < 2 || family->n_members > MTH_MAX_FAMILY_MEMBERS || family->n_elems == 0 ||
        family->piece_elems == 0 ||
        (family->piece_elems < family->n_elems && family->piece_elems < MTH_MIN_PIECE_ELEMS))
        return false;
    for (uint32_t i = 0; i < family->n_members; i++) {
        const struct mth_layout_member *member = &layout->members[family->first_member + i];
        uint64_t n_bytes;
        if (member->elem_bytes == 0 || member->elem_bytes > 8 ||
            !mth_u64_mul(family->n_elems, member->elem_bytes, &n_bytes) || n_bytes > layout->n_bytes ||
            member->offset > layout->n_bytes - n_bytes)
            return false;
    }
    return true;
}

/* A member's offset and number, to be sorted by the former. */
struct placed {
    uint64_t offset;
    uint32_t member;
};

static int compare_placed(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Members as they lie in the file; false when two of them overlap. */
static bool note_order(struct mth_layout *layout, struct placed *placed)
{
    uint64_t end = 0, covered = 0;
    for (size_t i = 0; i < layout->n_members; i++)
        placed[i] = (struct placed){layout->members[i].offset, (uint32_t)i};
    qsort(placed, layout->n_members, sizeof *placed, compare_placed);
    for (size_t i = 0; i < layout->n_members; i++) {
        struct mth_layout_member *member = &layout->members[placed[i].member];
        if (member->offset < end)
            return false;
        layout->by_offset[i] = placed[i].member;
        member->covered = covered;
        covered += member_bytes(layout, member);
        end = member->offset + member_bytes(layout, member);
    }
    layout->n_rest = layout->n_bytes - covered;
    return true;
}

int mth_layout_finish(struct mth_layout *layout, uint64_t n_bytes)
{
    layout->n_bytes = layout->n_rest = n_bytes;
    if (layout->n_families == 0)
        return MTH_OK;
    for (size_t i = 0; i < layout->n_families; i++) {
        if (!is_sound(layout, &layout->families[i]))
            return MTH_ERR_CORRUPT;
    }
    struct placed *placed = mth_memory_calloc(layout->memory, layout->n_members, sizeof *placed);
    layout->by_offset = mth_memory_calloc(layout->memory, layout->n_members, sizeof *layout->by_offset);
    bool sound = placed && layout->by_offset && note_order(layout, placed);
    int status = sound ? MTH_OK : placed && layout->by_offset ? MTH_ERR_CORRUPT : MTH_ERR_NO_MEMORY;
    mth_memory_free(layout->memory, placed);
    uint64_t place = layout->n_rest;
    for (size_t i = 0; !status && i < layout->n_families; i++) {
        layout->families[i].place = place;
        place += layout->families[i].n_elems * layout->families[i].elem_bytes;
    }
    return status;
}

/* The last member that begins at or before an offset of the file; NULL: none does. */
static const struct mth_layout_member *last_member(const struct mth_layout *layout, uint64_t offset,
                                                   const struct mth_layout_member **next)
{
    size_t low = 0, high = layout->n_members;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (layout->members[layout->by_offset[middle]].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    *next = low < layout->n_members ? &layout->members[layout->by_offset[low]] : NULL;
    return low ? &layout->members[layout->by_offset[low - 1]] : NULL;
}

/* Elements of the piece that holds an element, and the first of them. */
static uint64_t piece_of(const struct mth_layout_family *family, uint64_t elem, uint64_t *first)
{
    *first = elem - elem % family->piece_elems;
    uint64_t left = family->n_elems - *first;
    return left < family->piece_elems ? left : family->piece_elems;
}

uint64_t mth_layout_to_place(const struct mth_layout *layout, uint64_t offset, uint64_t *n_run)
{
    const struct mth_layout_member *next, *member = last_member(layout, offset, &next);
    if (!member || offset - member->offset >= member_bytes(layout, member)) {
        *n_run = (next ? next->offset : layout->n_bytes) - offset;
        return offset - (member ? member->covered + member_bytes(layout, member) : 0);
    }
    const struct mth_layout_family *family = &layout->families[member->family];
    uint64_t first, n = piece_of(family, (offset - member->offset) / member->elem_bytes, &first);
    uint64_t inside = offset - member->offset - first * member->elem_bytes;
    *n_run = n * member->elem_bytes - inside;
    return family->place + first * family->elem_bytes + n * member->before + inside;
}

/* The offset of a byte of no family, by how many of those come before it. */
static uint64_t rest_to_file(const struct mth_layout *layout, uint64_t place, uint64_t *n_run)
{
    /* Before member i there are offset - covered bytes of no family. */
    size_t low = 0, high = layout->n_members;
    while (low < high) {
        const struct mth_layout_member *member = &layout->members[layout->by_offset[low + (high - low) / 2]];
        if (member->offset - member->covered <= place)
            low = low + (high - low) / 2 + 1;
        else
            high = low + (high - low) / 2;
    }
    const struct mth_layout_member *next =
        low < layout->n_members ? &layout->members[layout->by_offset[low]] : NULL;
    *n_run = (next ? next->offset - next->covered : layout->n_rest) - place;
    if (low == 0)
        return place;
    const struct mth_layout_member *member = &layout->members[layout->by_offset[low - 1]];
    return place + member->covered + member_bytes(layout, member);
}

uint64_t mth_layout_to_file(const struct mth_layout *layout, uint64_t place, uint64_t *n_run)
{
    if (place < layout->n_rest)
        return rest_to_file(layout, place, n_run);
    size_t low = 0, high = layout->n_families;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (layout->families[middle].place <= place)
            low = middle;
        else
            high = middle;
    }
    const struct mth_layout_family *family = &layout->families[low];
    uint64_t first, n = piece_of(family, (place - family->place) / family->elem_bytes, &first);
    uint64_t inside = place - family->place - first * family->elem_bytes;
    uint32_t i = family->first_member;
    while (i + 1 < family->first_member + family->n_members && layout->members[i + 1].before * n <= inside)
        i++;
    const struct mth_layout_member *member = &layout->members[i];
    inside -= n * member->before;
    *n_run = n * member->elem_bytes - inside;
    return member->offset + first * member->elem_bytes + inside;
}
