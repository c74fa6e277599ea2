/* The windows of tensors; see slice_windows.h. */
#include "pipeline/slice_windows.h"

#include <string.h>

bool mth_slice_is_eligible(const struct mth_region_map *map, size_t region)
{
    const struct mth_region *of = &map->regions[region];
    size_t width = mth_dtype_lane_bytes(of->dtype);
    return of->dtype != MTH_DTYPE_OPAQUE && of->flags == 0 && (width == 2 || width == 4) &&
           of->n_bytes % width == 0 && of->n_bytes / width >= MTH_MIN_RELATED_ELEMS;
}

int mth_slice_read_elems(const struct mth_slice_search *s, uint32_t region, uint64_t elem, size_t n,
                         uint8_t predictor, uint8_t *bytes, uint8_t *rounded, const uint8_t **out)
{
    size_t width = mth_slice_width_of(s, region);
    const uint8_t *inputs[1] = {bytes};
    int status =
        mth_source_read(s->input, s->map->regions[region].offset + elem * width, bytes, n * width, s->err);
    *out = bytes;
    if (!status && predictor != MTH_PREDICT_NOTHING) {
        mth_predictor_at(predictor)->predict(NULL, inputs, n, rounded);
        *out = rounded;
    }
    return status;
}

uint8_t mth_slice_last_form(const struct mth_slice_search *s, uint32_t region, bool is_whole)
{
    bool rounds = s->map->regions[region].dtype == MTH_DTYPE_F32 &&
                  (is_whole ? s->least_part[0] < mth_slice_elems_of(s, region)
                            : s->most_elems[0] > mth_slice_elems_of(s, region));
    return rounds ? MTH_PREDICT_F16_NEAREST : MTH_PREDICT_NOTHING;
}

static int add_probe(struct mth_slice_search *s, uint32_t region, uint64_t elem, uint8_t predictor,
                     const uint8_t *window)
{
    struct mth_slice_probe probe = {.elem = elem, .region = region, .predictor = predictor};
    if (!mth_slice_hash_window(window, &probe.hash))
        return MTH_OK;
    int status =
        mth_array_reserve(s->memory, &s->probes, &s->probes_capacity, s->n_probes + 1, sizeof *s->probes);
    if (!status)
        s->probes[s->n_probes++] = probe;
    return status;
}

int mth_slice_probe_whole(struct mth_slice_search *s, uint32_t region)
{
    uint8_t bytes[4 * WINDOW_ELEMS], rounded[WINDOW_BYTES];
    const uint8_t *inputs[1] = {bytes};
    size_t width = mth_slice_width_of(s, region);
    uint64_t n = mth_slice_elems_of(s, region), begin = s->map->regions[region].offset;
    uint8_t last = mth_slice_last_form(s, region, true);
    int status = MTH_OK;
    for (uint64_t elem = 0; !status && elem + WINDOW_ELEMS <= n; elem += UINT64_C(1) << s->stride_log2) {
        uint64_t next = elem + ((uint64_t)AHEAD << s->stride_log2);
        if (next + WINDOW_ELEMS <= n)
            mth_source_expect(s->input, begin + next * width, WINDOW_ELEMS * width);
        status = mth_source_read(s->input, begin + elem * width, bytes, WINDOW_ELEMS * width, s->err);
        if (!status)
            status = add_probe(s, region, elem, MTH_PREDICT_NOTHING, bytes);
        for (uint8_t form = MTH_PREDICT_BF16_NEAREST; !status && form <= last; form++) {
            mth_predictor_at(form)->predict(NULL, inputs, WINDOW_ELEMS, rounded);
            status = add_probe(s, region, elem, form, rounded);
        }
    }
    return status;
}

int mth_slice_sort_probes(struct mth_slice_search *s)
{
    unsigned bits = 1;
    while (bits < 30 && ((size_t)1 << bits) < s->n_probes * PLACES_PER_PROBE)
        bits++;
    size_t n_buckets = (size_t)1 << bits;
    struct mth_slice_probe *sorted = mth_memory_alloc(s->memory, (s->n_probes + 1) * sizeof *sorted);
    s->buckets = mth_memory_calloc(s->memory, n_buckets + 2, sizeof *s->buckets);
    s->shift = 64 - bits;
    if (!sorted || !s->buckets) {
        mth_memory_free(s->memory, sorted);
        return MTH_ERR_NO_MEMORY;
    }
    /* The end of a bucket grows from its beginning, which is the end of the one before. */
    for (size_t i = 0; i < s->n_probes; i++)
        s->buckets[(s->probes[i].hash >> s->shift) + 2]++;
    for (size_t i = 2; i < n_buckets + 2; i++)
        s->buckets[i] += s->buckets[i - 1];
    for (size_t i = 0; i < s->n_probes; i++)
        sorted[s->buckets[(s->probes[i].hash >> s->shift) + 1]++] = s->probes[i];
    mth_memory_free(s->memory, s->probes);
    s->probes = sorted;
    s->probes_capacity = s->n_probes;
    return MTH_OK;
}

int mth_slice_probe_heads(struct mth_slice_search *s)
{
    int status = MTH_OK;
    mth_memory_free(s->memory, s->buckets);
    s->buckets = NULL;
    s->n_probes = 0;
    for (uint32_t i = 0; !status && i < s->map->n_regions; i++) {
        uint8_t bytes[4 * WINDOW_ELEMS], rounded[WINDOW_BYTES], last;
        if (!mth_slice_is_eligible(s->map, i) || s->roles[i] != ROLE_NONE)
            continue;
        last = mth_slice_last_form(s, i, false);
        for (uint8_t form = MTH_PREDICT_NOTHING; !status && form <= last; form++) {
            const uint8_t *window;
            if (!mth_slice_is_form(form))
                continue;
            status = mth_slice_read_elems(s, i, 0, WINDOW_ELEMS, form, bytes, rounded, &window);
            if (!status)
                status = add_probe(s, i, 0, form, window);
        }
    }
    return status ? status : mth_slice_sort_probes(s);
}
