/* Tensors that are copies of others, by a few elements of each; see relations.h. */
#include "pipeline/relations.h"

#include "base/checked.h"
#include "base/hash.h"
#include "base/repeats.h"
#include "pipeline/bundle.h"

#include <stdlib.h>
#include <string.h>

/*
 * Small tensors are looked at in one place only: there, reaching the places is what takes the time. The next N_EXPECTED are
 * asked for ahead.
 */
enum {
    SKETCH_ELEMS = MTH_MIN_RELATED_ELEMS,
    N_PROBES = 4,
    ONE_PROBE_ELEMS = 2048,
    N_EXPECTED = 8,
    EXPECTED_BYTES = 128
};

/* What a tensor, or what would be made of it, looks like. */
struct sketch {
    uint64_t n_elems;
    uint64_t hash; /* of elements looked at, with width and number of all as seed */
    uint32_t region;
    uint8_t predictor; /* that makes it of the region; MTH_PREDICT_NOTHING: the region itself */
    uint8_t elem_bytes;
};

struct sketches {
    struct sketch *of;
    size_t n, capacity;
};

static int add(struct mth_memory *memory, struct sketches *sketches, const struct sketch *sketch)
{
    int status =
        mth_array_reserve(memory, &sketches->of, &sketches->capacity, sketches->n + 1, sizeof *sketch);
    if (!status)
        sketches->of[sketches->n++] = *sketch;
    return status;
}

/* SKETCH_ELEMS elements of a region, from its beginning, its end, and between. */
static int take_probes(const struct mth_source *input, const struct mth_region *region, size_t width,
                       uint8_t *probes, struct mth_error *err)
{
    uint64_t n_probes = region->n_bytes / width <= ONE_PROBE_ELEMS ? 1 : N_PROBES;
    size_t probe_bytes = (size_t)(SKETCH_ELEMS / n_probes) * width;
    uint64_t step = n_probes == 1 ? 0 : (region->n_bytes - probe_bytes) / width / (n_probes - 1);
    int status = MTH_OK;
    for (uint64_t i = 0; !status && i < n_probes; i++)
        status = mth_source_read(input, region->offset + step * i * width, probes + i * probe_bytes,
                                 probe_bytes, err);
    return status;
}

static uint64_t hash_probes(const uint8_t *probes, size_t width, uint64_t n_elems)
{
    return mth_hash64(probes, SKETCH_ELEMS * width, n_elems << 8 | width);
}

static int sketch_region(const struct mth_families *families, const struct mth_source *input, size_t index,
                         struct sketches *sketches, struct mth_error *err)
{
    const struct mth_region *region = &families->map->regions[index];
    size_t width = mth_dtype_lane_bytes(region->dtype);
    uint64_t n_elems = region->n_bytes / width;
    uint8_t probes[SKETCH_ELEMS * 8], rounded[SKETCH_ELEMS * 2];
    const uint8_t *inputs[1] = {probes};
    if (region->dtype == MTH_DTYPE_OPAQUE || region->n_bytes % width || n_elems < MTH_MIN_RELATED_ELEMS)
        return MTH_OK;
    int status = take_probes(input, region, width, probes, err);
    if (status)
        return status;
    struct sketch sketch = {.n_elems = n_elems,
                            .hash = hash_probes(probes, width, n_elems),
                            .region = (uint32_t)index,
                            .elem_bytes = (uint8_t)width};
    status = add(families->memory, sketches, &sketch);
    bool wide = region->dtype == MTH_DTYPE_F32 && !(region->flags & MTH_REGION_BIG_ENDIAN);
    for (uint8_t p = MTH_PREDICT_BF16_NEAREST; wide && !status && p <= MTH_PREDICT_F16_NEAREST; p++) {
        mth_predictor_at(p)->predict(NULL, inputs, SKETCH_ELEMS, rounded);
        sketch.hash = hash_probes(rounded, sizeof(uint16_t), n_elems);
        sketch.predictor = p;
        sketch.elem_bytes = sizeof(uint16_t);
        status = add(families->memory, sketches, &sketch);
    }
    return status;
}

static int sketch_regions(const struct mth_families *families, const struct mth_source *input,
                          struct sketches *sketches, struct mth_error *err)
{
    const struct mth_region_map *map = families->map;
    int status = mth_array_reserve(families->memory, &sketches->of, &sketches->capacity, map->n_regions,
                                   sizeof *sketches->of);
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        if (i + N_EXPECTED < map->n_regions)
            mth_source_expect(input, map->regions[i + N_EXPECTED].offset,
                              (size_t)mth_u64_min(map->regions[i + N_EXPECTED].n_bytes, EXPECTED_BYTES));
        status = sketch_region(families, input, i, sketches, err);
    }
    return status;
}

/* Leaves the sketches that occur more than once, and a few others, which sorting then sets apart. */
static int keep_repeated(struct mth_memory *memory, struct sketches *sketches)
{
    struct mth_repeats repeats;
    int status = mth_repeats_init(&repeats, sketches->n, memory);
    if (status)
        return status;
    size_t n_kept = 0;
    for (size_t i = 0; i < sketches->n; i++)
        mth_repeats_note(&repeats, sketches->of[i].hash);
    for (size_t i = 0; i < sketches->n; i++)
        if (mth_repeats_has(&repeats, sketches->of[i].hash))
            sketches->of[n_kept++] = sketches->of[i];
    sketches->n = n_kept;
    mth_repeats_free(&repeats);
    return MTH_OK;
}

/* Like ones together; of these the widest regions first, then as they lie in the file. */
static int compare(const void *left, const void *right)
{
    const struct sketch *a = left, *b = right;
    if (a->n_elems != b->n_elems)
        return a->n_elems < b->n_elems ? -1 : 1;
    if (a->elem_bytes != b->elem_bytes)
        return a->elem_bytes > b->elem_bytes ? -1 : 1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    bool a_made = a->predictor != MTH_PREDICT_NOTHING, b_made = b->predictor != MTH_PREDICT_NOTHING;
    if (a_made != b_made)
        return a_made ? -1 : 1;
    if (a->predictor != b->predictor)
        return a->predictor < b->predictor ? -1 : 1;
    return a->region < b->region ? -1 : a->region > b->region;
}

/* Of sketches that are alike the first that is no copy is what the others are copies of. */
static int pair_up(struct mth_families *families, const struct sketches *sketches)
{
    int status = MTH_OK;
    size_t end;
    for (size_t i = 0; !status && i < sketches->n; i = end) {
        const struct sketch *first = &sketches->of[i];
        for (end = i + 1; end < sketches->n && sketches->of[end].n_elems == first->n_elems &&
                          sketches->of[end].elem_bytes == first->elem_bytes &&
                          sketches->of[end].hash == first->hash;)
            end++;
        size_t source = i;
        while (source < end && families->regions[sketches->of[source].region].is_copy)
            source++;
        for (size_t k = source + 1; !status && k < end; k++) {
            const struct sketch *copy = &sketches->of[k];
            uint8_t predictor = sketches->of[source].predictor;
            if (copy->predictor == MTH_PREDICT_NOTHING && !families->regions[copy->region].family)
                status = mth_families_join(families, sketches->of[source].region, copy->region,
                                           predictor == MTH_PREDICT_NOTHING ? (uint8_t)MTH_PREDICT_SAME
                                                                            : predictor);
        }
    }
    return status;
}

/* ---- rounded at random ---- */

enum { MAX_TRIED = 64 };

/* A tensor of fp32, or one of 16 bits that is no copy yet. */
struct sized {
    uint64_t n_elems;
    uint32_t region;
};

static int compare_sized(const void *left, const void *right)
{
    const struct sized *a = left, *b = right;
    if (a->n_elems != b->n_elems)
        return a->n_elems < b->n_elems ? -1 : 1;
    return (a->region > b->region) - (a->region < b->region);
}

/* Are all of these n elements, SKETCH_ELEMS at most, one of both values that what there is in fp32 lies between? */
static bool are_next_to(const struct mth_predictor *rounded, const uint8_t *wide, const uint8_t *narrow,
                        size_t n)
{
    const uint8_t *inputs[1] = {wide};
    uint8_t expected[SKETCH_ELEMS * 2], steps[SKETCH_ELEMS * 2];
    rounded->predict(NULL, inputs, n, expected);
    rounded->steps(inputs, narrow, n, steps);
    for (size_t i = 0; i < n; i++) {
        if ((uint16_t)(mth_load16(steps + 2 * i) - mth_load16(expected + 2 * i)) > 1)
            return false;
    }
    return true;
}

/* Is every element looked at one of both that fp32 is between? */
static int is_between(const struct mth_families *families, const struct mth_source *input, uint32_t wide,
                      uint32_t narrow, uint8_t predictor, bool *is, struct mth_error *err)
{
    uint8_t of_wide[SKETCH_ELEMS * 4], of_narrow[SKETCH_ELEMS * 2];
    const struct mth_region *regions = families->map->regions;
    const struct mth_predictor *rounded = mth_predictor_at(predictor);
    int status = mth_source_read(input, regions[wide].offset, of_wide, 4, err);
    if (!status)
        status = mth_source_read(input, regions[narrow].offset, of_narrow, 2, err);
    /* Most are not. */
    *is = !status && are_next_to(rounded, of_wide, of_narrow, 1);
    if (!*is)
        return status;
    status = take_probes(input, &regions[wide], 4, of_wide, err);
    if (!status)
        status = take_probes(input, &regions[narrow], 2, of_narrow, err);
    size_t n_zeros = 0;
    for (size_t i = 0; !status && i < SKETCH_ELEMS; i++)
        n_zeros += (mth_load16(of_narrow + 2 * i) & 0x7fff) == 0;
    *is = !status && n_zeros < SKETCH_ELEMS / 2 && are_next_to(rounded, of_wide, of_narrow, SKETCH_ELEMS);
    return status;
}

/*
 * What stochastic rounding made of a tensor is next to it, and that is all: no hash tells. So each bf16 or fp16 tensor that is no copy is held against those of
 * fp32 of as many elements.
 */
static int pair_up_rounded(struct mth_families *families, const struct mth_source *input,
                           struct mth_error *err)
{
    const struct mth_region_map *map = families->map;
    struct sized *wide = mth_memory_alloc(families->memory, (map->n_regions + 1) * sizeof *wide);
    size_t n_wide = 0;
    int status = wide ? MTH_OK : MTH_ERR_NO_MEMORY;
    for (uint32_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        if (region->dtype == MTH_DTYPE_F32 && region->flags == 0 && region->n_bytes % 4 == 0 &&
            region->n_bytes / 4 >= MTH_MIN_RELATED_ELEMS)
            wide[n_wide++] = (struct sized){region->n_bytes / 4, i};
    }
    if (!status && n_wide)
        qsort(wide, n_wide, sizeof *wide, compare_sized);
    for (uint32_t i = 0; !status && n_wide && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        bool is_bf16 = region->dtype == MTH_DTYPE_BF16;
        uint8_t predictor = is_bf16 ? MTH_PREDICT_BF16_CHANCE : MTH_PREDICT_F16_CHANCE;
        if ((!is_bf16 && region->dtype != MTH_DTYPE_F16) || region->flags || region->n_bytes % 2 ||
            families->regions[i].family)
            continue;
        size_t low = 0, high = n_wide;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (wide[middle].n_elems < region->n_bytes / 2)
                low = middle + 1;
            else
                high = middle;
        }
        bool found = false;
        for (size_t n = 0; !status && !found && n < MAX_TRIED && low + n < n_wide &&
                           wide[low + n].n_elems == region->n_bytes / 2;
             n++) {
            uint32_t of = wide[low + n].region;
            if (families->regions[of].is_copy)
                continue;
            status = is_between(families, input, of, i, predictor, &found, err);
            if (!status && found)
                status = mth_families_join(families, of, i, predictor);
        }
    }
    mth_memory_free(families->memory, wide);
    return status;
}

int mth_families_find_copies(struct mth_families *families, const struct mth_source *input,
                             struct mth_error *err)
{
    struct sketches sketches = {0};
    struct mth_error inner = {0};
    int status = sketch_regions(families, input, &sketches, &inner);
    if (!status)
        status = keep_repeated(families->memory, &sketches);
    if (!status && sketches.n)
        qsort(sketches.of, sketches.n, sizeof *sketches.of, compare);
    if (!status)
        status = pair_up(families, &sketches);
    if (!status)
        status = pair_up_rounded(families, input, &inner);
    mth_memory_free(families->memory, sketches.of);
    if (!status)
        return MTH_OK;
    return inner.status
               ? mth_error_set(err, inner.status, "%s", inner.text)
               : mth_error_set(err, status, "looking for copies failed: %s", mth_status_text(status));
}
