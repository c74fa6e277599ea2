/*
 * Which tensors are a part of another; see slices.h.
 *
 * Of each tensor that may be a whole a few elements are hashed at every stride, of each that may be a part those at each of the first
 * stride's places: where it is one, just one of these falls on one of those. The stride is the root of elements over tensors, or so,
 * which makes both about as many. Where a part ends that was found, what stands beside it in the file is tried, and what begins with the
 * elements that are there: so small tensors are found too.
 *
 * Reading elements here and there is what takes time. Where hardly any part is expected the search is coarse: strides are longer, and of
 * the first one only round places are looked at.
 */
#include "pipeline/slice_windows.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum {
    MIN_STRIDE_LOG2 = 6,
    MAX_STRIDE_LOG2 = 17,
    STRIDES_PER_PART = 8,                  /* of fewer only what stands beside another is found */
    COARSE_LOG2 = 2,                       /* a coarse search's strides are so many times longer, */
    COARSE_PLACE = 256,                    /* and parts begin at a multiple of so many elements */
    N_FORMS = MTH_PREDICT_F16_NEAREST + 1, /* of fp32: itself, and what it is rounded to */
    MAX_BUCKET = 32,                       /* windows that look alike */
    MAX_COMPARED = 64,                     /* of a part */
    N_SPOTS = 4,                           /* that are compared, of so many elements */
    SPOT_ELEMS = 16
};

/* Regions that may be parts, the largest first. */
struct candidate {
    uint64_t n_elems;
    uint32_t region;
};

/* Elements at every one of which a whole is looked at. */
static unsigned find_stride(const struct mth_region_map *map, uint64_t *n_elems, size_t *n_regions)
{
    unsigned log2 = MIN_STRIDE_LOG2;
    *n_elems = *n_regions = 0;
    for (size_t i = 0; i < map->n_regions; i++) {
        if (!mth_slice_is_eligible(map, i))
            continue;
        *n_elems += map->regions[i].n_bytes / mth_dtype_lane_bytes(map->regions[i].dtype);
        ++*n_regions;
    }
    while (*n_regions && log2 < MAX_STRIDE_LOG2 && (UINT64_C(1) << 2 * log2) / 16 < *n_elems / *n_regions)
        log2++;
    return log2;
}

uint64_t mth_slices_need(const struct mth_region_map *map)
{
    uint64_t n_elems;
    size_t n_regions;
    unsigned log2 = find_stride(map, &n_elems, &n_regions);
    uint64_t n_probes = N_FORMS * ((n_elems >> log2) + n_regions);
    /* An array that grows is there twice for a while. */
    return n_probes * (3 * sizeof(struct mth_slice_probe) + 2 * PLACES_PER_PROBE * sizeof(uint32_t)) +
           ((uint64_t)6 << log2) + n_regions * sizeof(struct candidate) + map->n_regions;
}

/* ---- slices ---- */

/* May what is made of one dtype be another? */
static bool makes(enum mth_dtype from, uint8_t predictor, enum mth_dtype to)
{
    if (predictor == MTH_PREDICT_NOTHING)
        return from == to;
    return from == MTH_DTYPE_F32 &&
           to == (predictor == MTH_PREDICT_F16_NEAREST ? MTH_DTYPE_F16 : MTH_DTYPE_BF16);
}

static bool fit_together(const struct mth_slice_search *s, uint32_t whole, uint32_t part,
                         struct mth_slice_form form)
{
    enum mth_dtype of_whole = s->map->regions[whole].dtype, of_part = s->map->regions[part].dtype;
    return form.of_part == MTH_PREDICT_NOTHING
               ? makes(of_whole, form.of_whole, of_part)
               : form.of_whole == MTH_PREDICT_NOTHING && makes(of_part, form.of_part, of_whole);
}

/* Are elements in front, at the end and between the same? */
static int compare(const struct mth_slice_search *s, uint32_t whole, uint64_t first, uint32_t part,
                   struct mth_slice_form form, bool *same)
{
    uint64_t step = (mth_slice_elems_of(s, part) - SPOT_ELEMS) / (N_SPOTS - 1);
    size_t width = mth_size_min(mth_slice_width_of(s, whole), mth_slice_width_of(s, part));
    int status = MTH_OK;
    *same = true;
    for (uint64_t i = 0; !status && *same && i < N_SPOTS; i++) {
        uint8_t bytes[2][4 * SPOT_ELEMS], rounded[2][2 * SPOT_ELEMS];
        const uint8_t *of_whole, *of_part;
        status = mth_slice_read_elems(s, whole, first + step * i, SPOT_ELEMS, form.of_whole, bytes[0],
                                      rounded[0], &of_whole);
        if (!status)
            status = mth_slice_read_elems(s, part, step * i, SPOT_ELEMS, form.of_part, bytes[1], rounded[1],
                                          &of_part);
        *same = !status && memcmp(of_whole, of_part, SPOT_ELEMS * width) == 0;
    }
    return status;
}

/* Has a whole room for a slice: nothing there, or another part of just as many? A part whose forms are the same comes once. */
static bool has_room(const struct mth_slice_search *s, uint32_t whole, uint64_t first, uint32_t part,
                     uint64_t n)
{
    for (size_t i = 0; i < s->n_slices; i++) {
        const struct mth_slice *other = &s->slices[i];
        if (other->whole == whole && first < other->first + other->n_elems && other->first < first + n &&
            !(other->first == first && other->n_elems == n && other->part != part))
            return false;
    }
    return true;
}

/* Notes a slice, if it is one. */
static int try_slice(struct mth_slice_search *s, uint32_t whole, uint64_t first, uint32_t part,
                     struct mth_slice_form form, bool *found)
{
    uint64_t n = mth_slice_elems_of(s, part), n_whole = mth_slice_elems_of(s, whole);
    *found = false;
    if (s->n_slices == MTH_MAX_SLICES || whole == part || n >= n_whole || first > n_whole - n ||
        s->roles[whole] == ROLE_PART || s->roles[part] == ROLE_WHOLE || !fit_together(s, whole, part, form) ||
        !has_room(s, whole, first, part, n))
        return MTH_OK;
    int status = compare(s, whole, first, part, form, found);
    if (status || !*found)
        return status;
    status =
        mth_array_reserve(s->memory, &s->slices, &s->slices_capacity, s->n_slices + 1, sizeof *s->slices);
    if (!status)
        status =
            mth_array_reserve(s->memory, &s->forms, &s->forms_capacity, s->n_slices + 1, sizeof *s->forms);
    if (status)
        return status;
    s->forms[s->n_slices] = form;
    s->slices[s->n_slices++] = (struct mth_slice){whole, part, first, n};
    s->roles[whole] = ROLE_WHOLE;
    s->roles[part] = ROLE_PART;
    return MTH_OK;
}

/* A window of a part, against those of wholes that look alike. */
static int try_window(struct mth_slice_search *s, uint32_t part, uint8_t form, uint64_t elem, uint64_t hash,
                      size_t *n_compared)
{
    uint32_t end = s->buckets[(hash >> s->shift) + 1], i = s->buckets[hash >> s->shift];
    int status = MTH_OK;
    for (size_t n = 0; !status && i < end && n < MAX_BUCKET && *n_compared < MAX_COMPARED; i++, n++) {
        const struct mth_slice_probe *probe = &s->probes[i];
        bool found;
        if (probe->hash != hash || probe->elem < elem || probe->region == part)
            continue;
        ++*n_compared;
        status = try_slice(s, probe->region, probe->elem - elem, part,
                           (struct mth_slice_form){probe->predictor, form}, &found);
    }
    return status;
}

static int try_part(struct mth_slice_search *s, uint32_t part)
{
    size_t stride = (size_t)1 << s->stride_log2, n_compared = 0;
    uint8_t last = mth_slice_last_form(s, part, false);
    int status = MTH_OK;
    for (uint8_t form = MTH_PREDICT_NOTHING; !status && form <= last; form++) {
        const uint8_t *elems;
        if (!mth_slice_is_form(form))
            continue;
        status = mth_slice_read_elems(s, part, 0, stride + WINDOW_ELEMS, form, s->bytes, s->rounded, &elems);
        size_t width = form == MTH_PREDICT_NOTHING ? mth_slice_width_of(s, part) : 2;
        for (size_t i = 0; !status && i < stride && s->roles[part] != ROLE_WHOLE; i++) {
            uint64_t hash;
            if (mth_slice_hash_window(elems + i * width, &hash) &&
                s->buckets[hash >> s->shift] < s->buckets[(hash >> s->shift) + 1])
                status = try_window(s, part, form, i, hash, &n_compared);
        }
    }
    return status;
}

/* The same of elements as they are, at round places. */
static int try_part_coarsely(struct mth_slice_search *s, uint32_t part)
{
    uint64_t stride = UINT64_C(1) << s->stride_log2, begin = s->map->regions[part].offset;
    size_t n_compared = 0, width = mth_slice_width_of(s, part);
    int status = MTH_OK;
    for (uint64_t i = 0; !status && i < stride && s->roles[part] != ROLE_WHOLE; i += COARSE_PLACE) {
        uint8_t window[4 * WINDOW_ELEMS];
        uint64_t hash;
        if (i + AHEAD * COARSE_PLACE < stride)
            mth_source_expect(s->input, begin + (i + AHEAD * COARSE_PLACE) * width, WINDOW_ELEMS * width);
        status = mth_source_read(s->input, begin + i * width, window, WINDOW_ELEMS * width, s->err);
        if (!status && mth_slice_hash_window(window, &hash))
            status = try_window(s, part, MTH_PREDICT_NOTHING, i, hash, &n_compared);
    }
    return status;
}

/* ---- what stands beside those ---- */

/* The next region, forwards or back, that is of a dtype; MTH_NO_REGION: none. */
static uint32_t neighbour(const struct mth_slice_search *s, uint32_t region, bool forwards)
{
    enum mth_dtype dtype = s->map->regions[region].dtype;
    for (;;) {
        if (forwards ? ++region == s->map->n_regions : region-- == 0)
            return MTH_NO_REGION;
        if (s->map->regions[region].dtype == dtype && mth_slice_is_eligible(s->map, region))
            return region;
    }
}

/* Tensors as they lie in the file, forwards or back, behind or in front of a slice; their places may be aligned. */
static int follow(struct mth_slice_search *s, size_t from, bool forwards, bool behind)
{
    static const uint64_t alignments[] = {1, 4, 8, 16, 32, 64, 128, 256, 512};
    struct mth_slice at = s->slices[from];
    struct mth_slice_form form = s->forms[from];
    bool found = true;
    int status = MTH_OK;
    while (!status && found) {
        uint32_t part = neighbour(s, at.part, forwards);
        uint64_t tried = UINT64_MAX;
        found = false;
        if (part == MTH_NO_REGION || s->roles[part] != ROLE_NONE)
            break;
        uint64_t n = mth_slice_elems_of(s, part);
        if (!behind && n > at.first)
            break;
        for (size_t i = 0; !status && !found && i < sizeof alignments / sizeof alignments[0]; i++) {
            uint64_t a = alignments[i];
            uint64_t first = behind ? (at.first + at.n_elems + a - 1) / a * a : (at.first - n) / a * a;
            if (first == tried)
                continue;
            tried = first;
            status = try_slice(s, at.whole, first, part, form, &found);
            at = found ? s->slices[s->n_slices - 1] : at;
        }
    }
    return status;
}

/* What begins at an element of a whole. */
static int try_heads(struct mth_slice_search *s, uint32_t whole, uint64_t elem)
{
    uint8_t bytes[4 * WINDOW_ELEMS], rounded[WINDOW_BYTES], last = mth_slice_last_form(s, whole, true);
    bool found = false;
    int status = MTH_OK;
    if (elem > mth_slice_elems_of(s, whole) - WINDOW_ELEMS)
        return MTH_OK;
    for (uint8_t form = MTH_PREDICT_NOTHING; !status && !found && form <= last; form++) {
        const uint8_t *window;
        uint64_t hash;
        if (!mth_slice_is_form(form))
            continue;
        status = mth_slice_read_elems(s, whole, elem, WINDOW_ELEMS, form, bytes, rounded, &window);
        if (status || !mth_slice_hash_window(window, &hash))
            continue;
        uint32_t begin = s->buckets[hash >> s->shift], end = s->buckets[(hash >> s->shift) + 1];
        for (uint32_t i = begin; !status && !found && i < end && i - begin < MAX_BUCKET; i++) {
            const struct mth_slice_probe *probe = &s->probes[i];
            if (probe->hash == hash && s->roles[probe->region] == ROLE_NONE)
                status = try_slice(s, whole, elem, probe->region,
                                   (struct mth_slice_form){form, probe->predictor}, &found);
        }
    }
    return status;
}

static int follow_all(struct mth_slice_search *s)
{
    static const uint64_t alignments[] = {1, 8, 64, 512};
    int status = s->n_slices ? mth_slice_probe_heads(s) : MTH_OK;
    /* What is found here is followed in its turn. */
    for (size_t i = 0; !status && i < s->n_slices; i++) {
        struct mth_slice at = s->slices[i];
        uint64_t end = at.first + at.n_elems;
        for (unsigned way = 0; !status && way < 4; way++)
            status = follow(s, i, way & 1, way & 2);
        for (size_t k = 0; !status && s->n_probes && k < sizeof alignments / sizeof alignments[0]; k++)
            status = try_heads(s, at.whole, (end + alignments[k] - 1) / alignments[k] * alignments[k]);
        if (!status && s->n_probes)
            status = try_heads(s, at.whole, 0);
    }
    return status;
}

/* ---- all of it ---- */

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->n_elems != b->n_elems)
        return a->n_elems > b->n_elems ? -1 : 1;
    return (a->region > b->region) - (a->region < b->region);
}

static size_t list_parts(struct mth_slice_search *s, struct candidate *parts)
{
    uint64_t least = (uint64_t)STRIDES_PER_PART << (s->stride_log2 - (s->is_coarse ? COARSE_LOG2 : 0));
    size_t n = 0;
    s->least_part[0] = s->least_part[1] = UINT64_MAX;
    for (uint32_t i = 0; i < s->map->n_regions; i++) {
        if (!mth_slice_is_eligible(s->map, i))
            continue;
        uint64_t n_elems = mth_slice_elems_of(s, i), *most = &s->most_elems[mth_slice_width_of(s, i) / 4],
                 *least_part = &s->least_part[mth_slice_width_of(s, i) / 4];
        *most = n_elems > *most ? n_elems : *most;
        if (n_elems < least)
            continue;
        *least_part = mth_u64_min(*least_part, n_elems);
        parts[n++] = (struct candidate){n_elems, i};
    }
    qsort(parts, n, sizeof *parts, compare_candidates);
    return n;
}

/* Is there anything of other width or of its own that a tensor is larger than, or smaller? */
static bool may_be_whole(const struct mth_slice_search *s, uint32_t region)
{
    uint64_t n = mth_slice_elems_of(s, region);
    return n > s->least_part[mth_slice_width_of(s, region) / 4] ||
           (mth_slice_width_of(s, region) == 2
                ? n > s->least_part[1]
                : s->map->regions[region].dtype == MTH_DTYPE_F32 && n > s->least_part[0]);
}

static int compare_slices(const void *left, const void *right)
{
    const struct mth_slice *a = left, *b = right;
    if (a->whole != b->whole)
        return a->whole < b->whole ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return (a->part > b->part) - (a->part < b->part);
}

static int search(struct mth_slice_search *s, struct candidate *parts)
{
    size_t stride = (size_t)1 << s->stride_log2, n_parts = list_parts(s, parts);
    int status = MTH_OK;
    for (uint32_t i = 0; !status && i < s->map->n_regions; i++) {
        if (mth_slice_is_eligible(s->map, i) && may_be_whole(s, i))
            status = mth_slice_probe_whole(s, i);
    }
    if (status || s->n_probes == 0)
        return status;
    status = mth_slice_sort_probes(s);
    if (!s->is_coarse) {
        s->bytes = mth_memory_alloc(s->memory, (stride + WINDOW_ELEMS) * 4);
        s->rounded = mth_memory_alloc(s->memory, (stride + WINDOW_ELEMS) * 2);
        if (!s->bytes || !s->rounded)
            status = MTH_ERR_NO_MEMORY;
    }
    for (size_t i = 0; !status && i < n_parts; i++) {
        if (parts[i].n_elems < s->most_elems[0] || parts[i].n_elems < s->most_elems[1])
            status = s->is_coarse ? try_part_coarsely(s, parts[i].region) : try_part(s, parts[i].region);
    }
    return status ? status : follow_all(s);
}

int mth_slices_find(const struct mth_region_map *map, const struct mth_source *input, bool is_coarse,
                    struct mth_memory *memory, struct mth_slice **slices, size_t *n_slices,
                    struct mth_error *err)
{
    uint64_t n_elems;
    size_t n_regions;
    struct mth_slice_search s = {
        .map = map, .input = input, .memory = memory, .err = err, .is_coarse = is_coarse};
    s.stride_log2 = find_stride(map, &n_elems, &n_regions) + (is_coarse ? COARSE_LOG2 : 0);
    int status = MTH_OK;
    struct candidate *parts = NULL;
    if (n_regions > 1) {
        parts = mth_memory_alloc(memory, n_regions * sizeof *parts);
        s.roles = mth_memory_calloc(memory, map->n_regions, 1);
        status = parts && s.roles ? search(&s, parts) : MTH_ERR_NO_MEMORY;
    }
    mth_memory_free(memory, parts);
    mth_memory_free(memory, s.roles);
    mth_memory_free(memory, s.probes);
    mth_memory_free(memory, s.buckets);
    mth_memory_free(memory, s.bytes);
    mth_memory_free(memory, s.rounded);
    mth_memory_free(memory, s.forms);
    if (status) {
        mth_memory_free(memory, s.slices);
        s.slices = NULL;
        s.n_slices = 0;
    }
    if (s.n_slices)
        qsort(s.slices, s.n_slices, sizeof *s.slices, compare_slices);
    *slices = s.slices;
    *n_slices = s.n_slices;
    return status;
}
