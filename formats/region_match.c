/* Pairing the regions of a checkpoint with those of its base; see region_match.h. */
#include "formats/region_match.h"

#include "formats/name_index.h"

#include <stdbool.h>
#include <string.h>

/* The region that a tensor spans, NULL when there is none. It lies inside its region: the size tells. */
static const struct mth_region *covered_region(const struct mth_region_map *map,
                                               const struct mth_tensor *tensor)
{
    if (tensor->region == MTH_NO_REGION)
        return NULL;
    const struct mth_region *region = &map->regions[tensor->region];
    return region->n_bytes == mth_tensor_span_bytes(map, tensor) ? region : NULL;
}

static bool same_kind(const struct mth_region_map *map, const struct mth_tensor *tensor,
                      const struct mth_region_map *base, const struct mth_tensor *other)
{
    /* Strides lie behind the shape, so that one comparison covers both. */
    size_t n_entries = (size_t)tensor->n_dims << (mth_tensor_strides(map, tensor) != NULL);
    return tensor->dtype == other->dtype && tensor->n_dims == other->n_dims &&
           tensor->flags == other->flags &&
           map->regions[tensor->region].flags == base->regions[other->region].flags &&
           (n_entries == 0 || memcmp(mth_tensor_shape(map, tensor), mth_tensor_shape(base, other),
                                     n_entries * sizeof *map->dims) == 0);
}

/*
 * How the names of a base differ from those of a checkpoint, when all do alike: a training state keeps "model.w" where
 * the file of the weights alone has "w". One of both has text before each name of the other.
 */
struct renaming {
    const char *prefix;
    size_t n_prefix;
    bool base_has_it;
};

enum { MAX_NAME_BYTES = 4096, MAX_RENAMINGS = 16, MAX_PREFIX_DOTS = 8 };

static const struct mth_tensor *find_renamed(const struct mth_name_index *index,
                                             const struct renaming *renaming, const char *name)
{
    char longer[MAX_NAME_BYTES];
    size_t n_name = strlen(name);
    if (!renaming->base_has_it)
        return strncmp(name, renaming->prefix, renaming->n_prefix) == 0
                   ? mth_name_index_find(index, name + renaming->n_prefix)
                   : NULL;
    if (renaming->n_prefix + n_name >= sizeof longer)
        return NULL;
    memcpy(longer, renaming->prefix, renaming->n_prefix);
    memcpy(longer + renaming->n_prefix, name, n_name + 1);
    return mth_name_index_find(index, longer);
}

/* What is paired, while it is. */
struct matches {
    uint32_t *tensors;
    bool *has_kind;
};

/* Pairs what is not paired yet, with tensors of the same dtype and shape or with any; returns how many regions are. */
static size_t match_renamed(const struct mth_region_map *map, const struct mth_name_index *index,
                            const struct renaming *renaming, bool wants_kind, const struct matches *matches)
{
    const struct mth_region_map *base = index->map;
    size_t n_matched = 0;
    for (size_t i = 0; i < map->n_tensors; i++) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (!covered_region(map, tensor) || matches->tensors[tensor->region] != MTH_NO_TENSOR)
            continue;
        const struct mth_tensor *other = find_renamed(index, renaming, mth_tensor_name(map, tensor));
        if (!other || !covered_region(base, other))
            continue;
        bool has_kind = same_kind(map, tensor, base, other);
        if (wants_kind && !has_kind)
            continue;
        matches->tensors[tensor->region] = (uint32_t)(other - base->tensors);
        matches->has_kind[tensor->region] = has_kind;
        n_matched++;
    }
    return n_matched;
}

static size_t match_kinds_first(const struct mth_region_map *map, const struct mth_name_index *index,
                                const struct renaming *renaming, const struct matches *matches)
{
    size_t n_matched = match_renamed(map, index, renaming, true, matches);
    return n_matched + match_renamed(map, index, renaming, false, matches);
}

struct renamings {
    struct {
        struct renaming renaming;
        size_t n_tensors;
    } of[MAX_RENAMINGS];
    size_t n;
};

static void count_renaming(struct renamings *renamings, const struct renaming *renaming)
{
    size_t i = 0;
    while (i < renamings->n &&
           (renamings->of[i].renaming.base_has_it != renaming->base_has_it ||
            renamings->of[i].renaming.n_prefix != renaming->n_prefix ||
            memcmp(renamings->of[i].renaming.prefix, renaming->prefix, renaming->n_prefix) != 0))
        i++;
    if (i == MAX_RENAMINGS)
        return;
    if (i == renamings->n)
        renamings->of[renamings->n++].renaming = *renaming;
    renamings->of[i].n_tensors++;
}

/* Counts what stands before the names of a map where the rest, behind a dot, is a name of another. */
static void count_renamings(const struct mth_region_map *longer, const struct mth_name_index *shorter,
                            bool base_has_it, struct renamings *renamings)
{
    for (size_t i = 0; i < longer->n_tensors; i++) {
        const char *name = mth_tensor_name(longer, &longer->tensors[i]);
        size_t n_dots = 0;
        for (const char *dot = strchr(name, '.'); dot && n_dots++ < MAX_PREFIX_DOTS;
             dot = strchr(dot + 1, '.')) {
            struct renaming renaming = {
                .prefix = name, .n_prefix = (size_t)(dot + 1 - name), .base_has_it = base_has_it};
            if (mth_name_index_find(shorter, dot + 1))
                count_renaming(renamings, &renaming);
        }
    }
}

/* Nothing is paired: takes the renaming under which most names have a counterpart. */
static int match_under_a_renaming(const struct mth_region_map *map, const struct mth_name_index *base_index,
                                  const struct matches *matches)
{
    struct mth_name_index index;
    struct renamings renamings = {0};
    int status = mth_name_index_build(map, &index, NULL);
    if (status)
        return status;
    count_renamings(base_index->map, &index, true, &renamings);
    count_renamings(map, base_index, false, &renamings);
    mth_name_index_free(&index);
    size_t best = 0;
    for (size_t i = 1; i < renamings.n; i++)
        best = renamings.of[i].n_tensors > renamings.of[best].n_tensors ? i : best;
    if (renamings.n)
        match_kinds_first(map, base_index, &renamings.of[best].renaming, matches);
    return MTH_OK;
}

int mth_region_match_names(const struct mth_region_map *map, const struct mth_region_map *base,
                           uint32_t *base_tensors, bool *has_kind)
{
    static const struct renaming none = {.prefix = ""};
    struct matches matches = {base_tensors, has_kind};
    struct mth_name_index index;
    for (size_t i = 0; i < map->n_regions; i++) {
        base_tensors[i] = MTH_NO_TENSOR;
        has_kind[i] = false;
    }
    int status = mth_name_index_build(base, &index, NULL);
    if (status)
        return status;
    if (match_kinds_first(map, &index, &none, &matches) == 0)
        status = match_under_a_renaming(map, &index, &matches);
    mth_name_index_free(&index);
    return status;
}

int mth_region_match(const struct mth_region_map *map, const struct mth_region_map *base,
                     uint64_t *base_offsets)
{
    uint32_t *tensors = mth_memory_alloc(map->memory, map->n_regions * sizeof *tensors);
    bool *has_kind = mth_memory_alloc(map->memory, map->n_regions);
    int status =
        tensors && has_kind ? mth_region_match_names(map, base, tensors, has_kind) : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < map->n_regions; i++)
        base_offsets[i] = has_kind[i] ? base->regions[base->tensors[tensors[i]].region].offset : MTH_NO_MATCH;
    mth_memory_free(map->memory, tensors);
    mth_memory_free(map->memory, has_kind);
    return status;
}
