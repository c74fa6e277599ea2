/* Tensors that are copies of others, by a few elements of each; see relations.h. */
#include "pipeline/relations.h"

#include "base/checked.h"
#include "base/hash.h"
#include "pipeline/bundle.h"

#include <stdlib.h>
#include <string.h>

enum { N_PROBES = 4, PROBE_ELEMS = MTH_MIN_RELATED_ELEMS / N_PROBES };

/* What a tensor, or what would be made of it, looks like. */
struct sketch {
    uint64_t n_elems;
    uint64_t hash;
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

static int sketch_region(const struct mth_families *families, const struct mth_source *input, size_t index,
                         struct sketches *sketches, struct mth_error *err)
{
    const struct mth_region *region = &families->map->regions[index];
    size_t width = mth_dtype_lane_bytes(region->dtype);
    uint64_t n_elems = region->n_bytes / width;
    uint8_t probes[N_PROBES * PROBE_ELEMS * 8], rounded[N_PROBES * PROBE_ELEMS * 2];
    const uint8_t *inputs[1] = {probes};
    if (region->dtype == MTH_DTYPE_OPAQUE || region->n_bytes % width || n_elems < MTH_MIN_RELATED_ELEMS)
        return MTH_OK;
    for (uint64_t i = 0; i < N_PROBES; i++) {
        uint64_t at = (n_elems - PROBE_ELEMS) / (N_PROBES - 1) * i;
        int status = mth_source_read(input, region->offset + at * width, probes + i * PROBE_ELEMS * width,
                                     PROBE_ELEMS * width, err);
        if (status)
            return status;
    }
    struct sketch sketch = {.n_elems = n_elems,
                            .hash = mth_hash64(probes, N_PROBES * PROBE_ELEMS * width, width),
                            .region = (uint32_t)index,
                            .elem_bytes = (uint8_t)width};
    int status = add(families->memory, sketches, &sketch);
    bool wide = region->dtype == MTH_DTYPE_F32 && !(region->flags & MTH_REGION_BIG_ENDIAN);
    for (uint8_t p = MTH_PREDICT_BF16_NEAREST; wide && !status && p <= MTH_PREDICT_F16_NEAREST; p++) {
        mth_predictor_at(p)->predict(NULL, inputs, N_PROBES * PROBE_ELEMS, rounded);
        sketch.hash = mth_hash64(rounded, sizeof rounded, sizeof(uint16_t));
        sketch.predictor = p;
        sketch.elem_bytes = sizeof(uint16_t);
        status = add(families->memory, sketches, &sketch);
    }
    return status;
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

int mth_families_find_copies(struct mth_families *families, const struct mth_source *input,
                             struct mth_error *err)
{
    struct sketches sketches = {0};
    struct mth_error inner = {0};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < families->map->n_regions; i++)
        status = sketch_region(families, input, i, &sketches, &inner);
    if (!status && sketches.n)
        qsort(sketches.of, sketches.n, sizeof *sketches.of, compare);
    if (!status)
        status = pair_up(families, &sketches);
    mth_memory_free(families->memory, sketches.of);
    if (!status)
        return MTH_OK;
    return inner.status
               ? mth_error_set(err, inner.status, "%s", inner.text)
               : mth_error_set(err, status, "looking for copies failed: %s", mth_status_text(status));
}
