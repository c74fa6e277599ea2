/* Counterparts of regions in a base; see region_align.h. */
#include "formats/region_align.h"

#include "base/hash.h"
#include "formats/region_match.h"

#include <stdlib.h>
#include <string.h>

enum {
    N_RUNS = 8,    /* of a sample, spread over a region */
    KEY_EVERY = 2, /* one in so many runs has a key */
    RUN_BYTES = 64,
    KEY_ELEMS = 8,   /* of a run, whose upper bytes are a key */
    MIN_BYTES = 256, /* of what is looked for by content */
    MAX_TRIED = 32   /* of those that share a key */
};

const char *mth_alignment_text(enum mth_alignment_kind kind)
{
    static const char *const texts[MTH_N_ALIGNED_KINDS] = {"new",     "same",      "renamed",  "reshaped",
                                                           "resized", "converted", "no tensor"};
    return texts[kind];
}

struct aligning {
    const struct mth_region_map *map, *base;
    const struct mth_source *source, *base_source;
    struct mth_alignment *alignments;
    uint32_t *covering; /* for each region of the base the first tensor that spans it */
    bool *taken;        /* for each region of the base */
    struct mth_error *err;
};

static bool is_plain(const struct mth_region_map *map, const struct mth_tensor *tensor)
{
    return tensor->flags == 0 && map->regions[tensor->region].flags == 0;
}

static uint64_t elems_of(const struct mth_region *region)
{
    return region->n_bytes / mth_dtype_lane_bytes(region->dtype);
}

/* ---- by name ---- */

/* Elements in front that two tensors of one name have in common; 0 where their rows are not alike. */
static uint64_t common_elems(const struct mth_region_map *map, const struct mth_tensor *tensor,
                             const struct mth_region_map *base, const struct mth_tensor *other)
{
    if (tensor->n_elems == other->n_elems)
        return tensor->n_elems;
    const uint64_t *shape = mth_tensor_shape(map, tensor), *base_shape = mth_tensor_shape(base, other);
    if (tensor->n_dims != other->n_dims || tensor->n_dims == 0 ||
        memcmp(shape + 1, base_shape + 1, (tensor->n_dims - 1u) * sizeof *shape) != 0)
        return 0;
    return tensor->n_elems < other->n_elems ? tensor->n_elems : other->n_elems;
}

static void align_named(struct aligning *a, size_t region, const struct mth_tensor *tensor,
                        const struct mth_tensor *other,
                        bool (*converts)(enum mth_dtype from, enum mth_dtype to))
{
    struct mth_alignment *alignment = &a->alignments[region];
    enum mth_dtype dtype = (enum mth_dtype)tensor->dtype, base_dtype = (enum mth_dtype)other->dtype;
    const struct mth_dtype_info *info = mth_dtype_info(dtype);
    bool same_dtype = dtype == base_dtype;
    /* Elements below a byte have no offsets. */
    if (!is_plain(a->map, tensor) || !is_plain(a->base, other) || info->bits % 8 != 0 ||
        !(same_dtype || (converts && converts(base_dtype, dtype))))
        return;
    uint64_t n = common_elems(a->map, tensor, a->base, other);
    if (n == 0)
        return;
    alignment->n_elems = n * (info->bits / 8) / mth_dtype_lane_bytes(dtype);
    alignment->kind = !same_dtype                         ? MTH_ALIGNED_CONVERTED
                      : tensor->n_elems == other->n_elems ? MTH_ALIGNED_RESHAPED
                                                          : MTH_ALIGNED_RESIZED;
}

/* For each region of a map the first tensor that spans it. */
static void find_covering(const struct mth_region_map *map, uint32_t *tensors)
{
    memset(tensors, 0xff, map->n_regions * sizeof *tensors);
    for (size_t i = map->n_tensors; i-- > 0;) {
        const struct mth_tensor *tensor = &map->tensors[i];
        if (tensor->region != MTH_NO_REGION &&
            mth_tensor_span_bytes(map, tensor) == map->regions[tensor->region].n_bytes)
            tensors[tensor->region] = (uint32_t)i;
    }
}

static int align_names(struct aligning *a, const uint32_t *own_covering,
                       bool (*converts)(enum mth_dtype from, enum mth_dtype to))
{
    struct mth_memory *memory = a->map->memory;
    uint32_t *tensors = mth_memory_alloc(memory, a->map->n_regions * sizeof *tensors);
    bool *has_kind = mth_memory_alloc(memory, a->map->n_regions);
    int status =
        tensors && has_kind ? mth_region_match_names(a->map, a->base, tensors, has_kind) : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && i < a->map->n_regions; i++) {
        a->alignments[i] = (struct mth_alignment){
            .kind = MTH_ALIGNED_NOT, .base_region = MTH_NO_REGION, .base_tensor = MTH_NO_TENSOR};
        if (tensors[i] == MTH_NO_TENSOR)
            continue;
        uint32_t region = a->base->tensors[tensors[i]].region;
        if (has_kind[i]) {
            a->alignments[i].kind = MTH_ALIGNED_SAME;
            a->alignments[i].n_elems = elems_of(&a->map->regions[i]);
        } else {
            align_named(a, i, &a->map->tensors[own_covering[i]], &a->base->tensors[tensors[i]], converts);
        }
        if (a->alignments[i].kind == MTH_ALIGNED_NOT)
            continue;
        a->alignments[i].base_region = region;
        a->alignments[i].base_tensor = a->covering[region];
        a->taken[region] = true;
    }
    mth_memory_free(memory, tensors);
    mth_memory_free(memory, has_kind);
    return status;
}

/* ---- by content ---- */

struct sample {
    uint8_t bytes[N_RUNS][RUN_BYTES];
    size_t n_runs, width;
};

struct keyed {
    uint64_t key;
    uint32_t region;
};

static int compare_keyed(const void *left, const void *right)
{
    const struct keyed *x = left, *y = right;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->region > y->region) - (x->region < y->region);
}

static int read_sample(const struct mth_source *source, const struct mth_region *region,
                       struct sample *sample, struct mth_error *err)
{
    int status = MTH_OK;
    sample->width = mth_dtype_lane_bytes(region->dtype);
    sample->n_runs = region->n_bytes / RUN_BYTES < N_RUNS ? (size_t)(region->n_bytes / RUN_BYTES) : N_RUNS;
    for (size_t r = 0; !status && r < sample->n_runs; r++)
        status = mth_source_read(source, region->offset + region->n_bytes / sample->n_runs * r / 8 * 8,
                                 sample->bytes[r], RUN_BYTES, err);
    return status;
}

/* The upper bytes of elements, which are signs and exponents, hardly change in training. */
static uint64_t key_of(const struct sample *sample, size_t run, const struct mth_region *region)
{
    uint8_t upper[KEY_ELEMS + 10];
    for (size_t i = 0; i < KEY_ELEMS; i++)
        upper[i] = sample->bytes[run][(i + 1) * sample->width - 1];
    memcpy(upper + KEY_ELEMS, &region->n_bytes, 8);
    upper[KEY_ELEMS + 8] = (uint8_t)region->dtype;
    upper[KEY_ELEMS + 9] = (uint8_t)run;
    return mth_hash64(upper, sizeof upper, 0);
}

/* Bytes that are the same, 0 where less than three of four upper ones are. */
static size_t likeness(const struct sample *x, const struct sample *y)
{
    size_t n_same = 0, n_upper = 0, n_elems = x->n_runs * RUN_BYTES / x->width;
    for (size_t r = 0; r < x->n_runs; r++) {
        for (size_t i = 0; i < RUN_BYTES; i++) {
            bool same = x->bytes[r][i] == y->bytes[r][i];
            n_same += same;
            n_upper += same && i % x->width == x->width - 1;
        }
    }
    return n_upper * 4 >= n_elems * 3 ? n_same : 0;
}

static bool is_sought(const struct mth_region_map *map, size_t region)
{
    const struct mth_region *of = &map->regions[region];
    return of->dtype != MTH_DTYPE_OPAQUE && of->flags == 0 && of->n_bytes >= MIN_BYTES;
}

static int compare_sizes(const void *left, const void *right)
{
    uint64_t x, y;
    memcpy(&x, left, sizeof x);
    memcpy(&y, right, sizeof y);
    return (x > y) - (x < y);
}

/* Keys of the base's regions that are as long as one of those sizes. */
static int list_keys(struct aligning *a, const uint64_t *sizes, size_t n_sizes, struct keyed *keys,
                     size_t *n_keys)
{
    int status = MTH_OK;
    *n_keys = 0;
    for (size_t i = 0; !status && i < a->base->n_regions; i++) {
        const struct mth_region *region = &a->base->regions[i];
        struct sample sample;
        if (!is_sought(a->base, i) || a->covering[i] == MTH_NO_TENSOR ||
            a->base->tensors[a->covering[i]].flags != 0 ||
            !bsearch(&region->n_bytes, sizes, n_sizes, sizeof *sizes, compare_sizes))
            continue;
        status = read_sample(a->base_source, region, &sample, a->err);
        for (size_t r = 0; !status && r < sample.n_runs; r += KEY_EVERY)
            keys[(*n_keys)++] = (struct keyed){key_of(&sample, r, region), (uint32_t)i};
    }
    qsort(keys, *n_keys, sizeof *keys, compare_keyed);
    return status;
}

/* The first of a key. */
static size_t first_of(const struct keyed *keys, size_t n_keys, uint64_t key)
{
    size_t low = 0, high = n_keys;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (keys[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The region of the base that is most like one; of those that are so equally, one that no other has. */
static int find_like(struct aligning *a, const struct keyed *keys, size_t n_keys, size_t index,
                     uint32_t *found)
{
    const struct mth_region *region = &a->map->regions[index];
    struct sample sample, other;
    size_t best = 0;
    int status = read_sample(a->source, region, &sample, a->err);
    *found = MTH_NO_REGION;
    for (size_t r = 0; !status && r < sample.n_runs; r += KEY_EVERY) {
        uint64_t key = key_of(&sample, r, region);
        size_t n_tried = 0;
        for (size_t i = first_of(keys, n_keys, key); !status && i < n_keys && keys[i].key == key; i++) {
            const struct mth_region *candidate = &a->base->regions[keys[i].region];
            if (candidate->n_bytes != region->n_bytes || candidate->dtype != region->dtype)
                continue;
            if (n_tried++ == MAX_TRIED)
                break;
            status = read_sample(a->base_source, candidate, &other, a->err);
            size_t score = status ? 0 : likeness(&sample, &other) * 2;
            score += score && !a->taken[keys[i].region];
            if (score > best) {
                best = score;
                *found = keys[i].region;
            }
        }
        /* What has all bytes of a run in common with another, and is free, is found. */
        if (best == 2 * sample.n_runs * RUN_BYTES + 1)
            break;
    }
    return status;
}

static int align_contents(struct aligning *a)
{
    struct mth_memory *memory = a->map->memory;
    size_t n_sizes = 0, n_keys = 0;
    uint64_t *sizes = mth_memory_alloc(memory, a->map->n_regions * sizeof *sizes);
    if (!sizes)
        return MTH_ERR_NO_MEMORY;
    for (size_t i = 0; i < a->map->n_regions; i++) {
        if (a->alignments[i].kind == MTH_ALIGNED_NOT && is_sought(a->map, i))
            sizes[n_sizes++] = a->map->regions[i].n_bytes;
    }
    if (n_sizes == 0) {
        mth_memory_free(memory, sizes);
        return MTH_OK;
    }
    qsort(sizes, n_sizes, sizeof *sizes, compare_sizes);
    struct keyed *keys = mth_memory_calloc(memory, a->base->n_regions, N_RUNS / KEY_EVERY * sizeof *keys);
    int status = keys ? list_keys(a, sizes, n_sizes, keys, &n_keys) : MTH_ERR_NO_MEMORY;
    for (size_t i = 0; !status && n_keys && i < a->map->n_regions; i++) {
        uint32_t found;
        if (a->alignments[i].kind != MTH_ALIGNED_NOT || !is_sought(a->map, i))
            continue;
        status = find_like(a, keys, n_keys, i, &found);
        if (status || found == MTH_NO_REGION)
            continue;
        a->taken[found] = true;
        a->alignments[i] = (struct mth_alignment){.kind = MTH_ALIGNED_RENAMED,
                                                  .base_region = found,
                                                  .base_tensor = a->covering[found],
                                                  .n_elems = elems_of(&a->map->regions[i])};
    }
    mth_memory_free(memory, sizes);
    mth_memory_free(memory, keys);
    return status;
}

/* ---- what is no tensor ---- */

/* The first at or behind index that is worth it; n_regions: none. */
static size_t next_opaque(const struct mth_region_map *map, size_t index)
{
    while (index < map->n_regions && (map->regions[index].dtype != MTH_DTYPE_OPAQUE ||
                                      map->regions[index].n_bytes < MTH_MIN_ALIGNED_OPAQUE_BYTES))
        index++;
    return index;
}

static void align_opaque(struct aligning *a)
{
    if (strcmp(a->map->format, a->base->format) != 0)
        return;
    size_t i = next_opaque(a->map, 0), k = next_opaque(a->base, 0);
    for (; i < a->map->n_regions && k < a->base->n_regions;
         i = next_opaque(a->map, i + 1), k = next_opaque(a->base, k + 1)) {
        uint64_t n = a->map->regions[i].n_bytes, n_base = a->base->regions[k].n_bytes;
        a->alignments[i] = (struct mth_alignment){.kind = MTH_ALIGNED_OPAQUE,
                                                  .base_region = (uint32_t)k,
                                                  .base_tensor = MTH_NO_TENSOR,
                                                  .n_elems = n < n_base ? n : n_base};
    }
}

int mth_region_align(const struct mth_region_map *map, const struct mth_source *source,
                     const struct mth_region_map *base, const struct mth_source *base_source,
                     bool (*converts)(enum mth_dtype from, enum mth_dtype to),
                     struct mth_alignment *alignments, struct mth_error *err)
{
    struct aligning a = {.map = map,
                         .base = base,
                         .source = source,
                         .base_source = base_source,
                         .alignments = alignments,
                         .err = err};
    uint32_t *own = mth_memory_alloc(map->memory, map->n_regions * sizeof *own);
    a.covering = mth_memory_alloc(map->memory, base->n_regions * sizeof *a.covering);
    a.taken = mth_memory_calloc(map->memory, base->n_regions, sizeof *a.taken);
    int status = own && a.covering && a.taken ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status) {
        find_covering(map, own);
        find_covering(base, a.covering);
        status = align_names(&a, own, converts);
    }
    if (!status)
        status = align_contents(&a);
    if (!status)
        align_opaque(&a);
    mth_memory_free(map->memory, own);
    mth_memory_free(map->memory, a.covering);
    mth_memory_free(map->memory, a.taken);
    return status;
}
