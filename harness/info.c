/* Collecting what `mithril info` tells; see info.h. */
#include "harness/info.h"

#include "base/option.h"
#include "formats/region_match.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ALONE = MTH_ENTROPY_EXPONENT | MTH_ENTROPY_FIELDS | MTH_ENTROPY_PLANES };

/* Made when first used. */
struct counters {
    struct mth_entropy_counter *of[MTH_N_DTYPES];
};

static struct mth_entropy_counter *take(struct counters *counters, enum mth_dtype dtype, unsigned parts,
                                        struct mth_memory *memory)
{
    if (!counters->of[dtype])
        counters->of[dtype] = mth_entropy_counter_create(dtype, parts, memory);
    return counters->of[dtype];
}

static void counters_free(struct counters *counters)
{
    for (size_t i = 0; i < MTH_N_DTYPES; i++)
        mth_entropy_counter_destroy(counters->of[i]);
}

static double ratio_of(enum mth_dtype dtype, double bits)
{
    return bits > 0 ? mth_dtype_info(dtype)->lane_bits / bits : INFINITY;
}

static void finish_dtype(struct mth_info_dtype *row, enum mth_dtype dtype,
                         const struct mth_entropy_counter *alone, const struct mth_entropy_counter *paired)
{
    const struct mth_dtype_info *info = mth_dtype_info(dtype);
    double bits = info->exponent_bits ? info->lane_bits - info->exponent_bits : 0;
    if (alone)
        mth_entropy_result(alone, &row->entropy);
    if (info->exponent_bits)
        bits += row->entropy.exponent;
    else
        for (size_t i = 0; i < row->entropy.n_planes; i++)
            bits += row->entropy.planes[i];
    row->bound_ratio = ratio_of(dtype, bits);
    bits = 0;
    if (paired)
        mth_entropy_result(paired, &row->paired);
    for (size_t i = 0; i < row->paired.n_planes; i++)
        bits += row->paired.xor_planes[i];
    row->paired_bound_ratio = ratio_of(dtype, bits);
}

/* Entropies by dtype, over regions, or over the tensors asked for when that is not all of them. */
static int collect_dtypes(struct mth_info *info, bool all)
{
    const struct mth_region_map *map = &info->input->map;
    struct mth_memory *memory = info->input->memory;
    struct counters alone = {0}, paired = {0};
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        const uint8_t *data = info->input->bytes.data + region->offset;
        bool wanted = all;
        for (size_t t = 0; !wanted && t < info->n_tensors; t++)
            wanted = info->tensors[t].tensor->region == i;
        if (!wanted)
            continue;
        info->dtypes[region->dtype].n_bytes += region->n_bytes;
        if (region->dtype == MTH_DTYPE_OPAQUE)
            continue;
        struct mth_entropy_counter *counter = take(&alone, region->dtype, ALONE, memory);
        if (!counter)
            status = MTH_ERR_NO_MEMORY;
        else
            mth_entropy_count(counter, data, NULL, (size_t)region->n_bytes);
        if (status || !info->base || info->base_offsets[i] == MTH_NO_MATCH)
            continue;
        info->n_matched++;
        counter = take(&paired, region->dtype, MTH_ENTROPY_XOR, memory);
        if (!counter)
            status = MTH_ERR_NO_MEMORY;
        else
            mth_entropy_count(counter, data, info->base->bytes.data + info->base_offsets[i],
                              (size_t)region->n_bytes);
    }
    for (size_t i = 0; !status && i < MTH_N_DTYPES; i++)
        finish_dtype(&info->dtypes[i], (enum mth_dtype)i, alone.of[i], paired.of[i]);
    counters_free(&alone);
    counters_free(&paired);
    return status;
}

static int collect_tensor(struct mth_info *info, struct mth_info_tensor *row, struct counters *counters)
{
    const struct mth_tensor *tensor = row->tensor;
    enum mth_dtype dtype = (enum mth_dtype)tensor->dtype;
    info->dtypes[dtype].n_tensors++;
    info->dtypes[dtype].n_elems += tensor->n_elems;
    if (tensor->region == MTH_NO_REGION)
        return MTH_OK;
    const struct mth_region *region = &info->input->map.regions[tensor->region];
    uint64_t base_offset = info->base ? info->base_offsets[tensor->region] : MTH_NO_MATCH;
    row->matched = base_offset != MTH_NO_MATCH;
    /* One counter a dtype and kind: with a counterpart or without. */
    struct mth_entropy_counter *counter =
        take(&counters[row->matched], dtype, MTH_ENTROPY_EXPONENT | (row->matched ? MTH_ENTROPY_XOR : 0u),
             info->input->memory);
    if (!counter)
        return MTH_ERR_NO_MEMORY;
    mth_entropy_counter_reset(counter);
    mth_entropy_count(counter, info->input->bytes.data + region->offset + tensor->offset_bytes,
                      row->matched ? info->base->bytes.data + base_offset + tensor->offset_bytes : NULL,
                      (size_t)mth_tensor_span_bytes(&info->input->map, tensor));
    mth_entropy_result(counter, &row->entropy);
    return MTH_OK;
}

static int unknown_tensor(const struct mth_region_map *map, const char *name, struct mth_error *err)
{
    const char *nearest = NULL;
    char hint[MTH_HINT_BYTES];
    size_t nearest_distance = SIZE_MAX, n_name = strlen(name);
    for (size_t i = 0; i < map->n_tensors; i++) {
        const char *other = mth_tensor_name(map, &map->tensors[i]);
        size_t n_other = strlen(other);
        size_t apart = n_other > n_name ? n_other - n_name : n_name - n_other;
        size_t distance = apart < nearest_distance ? mth_edit_distance(name, n_name, other) : SIZE_MAX;
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = other;
        }
    }
    if (!nearest)
        return mth_error_set(err, MTH_ERR_USAGE, "no tensor is called '%.100s': the file has none", name);
    return mth_error_set(err, MTH_ERR_USAGE, "no tensor is called '%.100s'%s", name,
                         mth_did_you_mean(name, n_name, "", nearest, hint));
}

/* The rows of the tensors that were asked for. */
static int pick_tensors(struct mth_info *info, const char *name, struct mth_error *err)
{
    const struct mth_region_map *map = &info->input->map;
    const struct mth_tensor *one = name ? mth_region_map_find(map, name) : NULL;
    if (name && !one)
        return unknown_tensor(map, name, err);
    info->n_tensors = one ? 1 : map->n_tensors;
    info->tensors = mth_memory_calloc(info->input->memory, info->n_tensors, sizeof *info->tensors);
    if (!info->tensors)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < info->n_tensors; i++)
        info->tensors[i].tensor = one ? one : &map->tensors[i];
    return MTH_OK;
}

/* What the library would code each tensor against. */
static int pair(struct mth_info *info, struct mth_error *err)
{
    struct mth_source source, base_source;
    struct mth_stream_base base = {.source = &base_source, .map = &info->base->map};
    mth_source_memory("input", (struct mth_bytes){info->input->bytes.data, info->input->bytes.n_bytes},
                      &source);
    mth_source_memory("the base", (struct mth_bytes){info->base->bytes.data, info->base->bytes.n_bytes},
                      &base_source);
    return mth_pair(&source, &info->input->map, &base, &info->paired, err);
}

int mth_info_collect(const struct mth_loaded *input, const struct mth_loaded *base,
                     const struct mth_loaded *older, const char *name, struct mth_info *info,
                     struct mth_error *err)
{
    struct counters counters[2] = {0};
    *info = (struct mth_info){.input = input, .base = base, .older = older};
    *err = (struct mth_error){0};
    int status = pick_tensors(info, name, err);
    if (!status && base) {
        info->base_offsets =
            mth_memory_calloc(input->memory, input->map.n_regions, sizeof *info->base_offsets);
        status = info->base_offsets ? mth_region_match(&input->map, &base->map, info->base_offsets)
                                    : MTH_ERR_NO_MEMORY;
    }
    if (!status && base)
        status = pair(info, err);
    for (size_t i = 0; !status && i < info->n_tensors; i++)
        status = collect_tensor(info, &info->tensors[i], counters);
    if (!status)
        status = collect_dtypes(info, name == NULL);
    if (!status)
        status = mth_bound_compute(&input->checkpoint, NULL, &info->bound);
    if (!status && base)
        status = mth_bound_compute(&input->checkpoint, &base->checkpoint, &info->pair_bound);
    if (!status && base && older)
        status = mth_bound_compute_directed(&input->checkpoint, &base->checkpoint, &older->checkpoint,
                                            &info->directed_bound);
    counters_free(&counters[0]);
    counters_free(&counters[1]);
    if (!status)
        return MTH_OK;
    mth_info_free(info);
    return err->status ? status : mth_error_set(err, status, "%s", mth_status_text(status));
}

void mth_info_free(struct mth_info *info)
{
    mth_memory_free(info->input->memory, info->tensors);
    mth_memory_free(info->input->memory, info->base_offsets);
    info->tensors = NULL;
    info->base_offsets = NULL;
}

const char *mth_info_shape(const struct mth_region_map *map, const struct mth_tensor *tensor,
                           size_t n_columns, char out[MTH_TEXT_BYTES])
{
    const uint64_t *shape = mth_tensor_shape(map, tensor);
    size_t used = (size_t)snprintf(out, MTH_TEXT_BYTES, "%s", tensor->n_dims ? "" : "scalar");
    for (size_t i = 0; i < tensor->n_dims && used < n_columns; i++)
        used += (size_t)snprintf(out + used, MTH_TEXT_BYTES - used, "%s%" PRIu64, i ? "x" : "", shape[i]);
    if (used > n_columns)
        snprintf(out + n_columns - 2, 3, "..");
    return out;
}
