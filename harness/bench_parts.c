/* What each part of a checkpoint takes; see bench_parts.h. */
#include "harness/bench_parts.h"

#include "pipeline/mithril.h"

#include <stdlib.h>
#include <string.h>

static const char *const role_names[] = {
    [MTH_ROLE_OTHER] = "other",   [MTH_ROLE_WEIGHT] = "weight", [MTH_ROLE_ADAM_M] = "adam_m",
    [MTH_ROLE_ADAM_V] = "adam_v", [MTH_ROLE_STEP] = "step",
};
enum { N_ROLES = sizeof role_names / sizeof role_names[0] };

static int add(struct mth_parts *parts, const char *by, const char *name, const struct mth_part *like)
{
    struct mth_part *part = &parts->items[parts->n_items];
    size_t n = strlen(name) + 1;
    *part = *like;
    part->by = by;
    part->name = malloc(n);
    if (!part->name)
        return MTH_ERR_NO_MEMORY;
    memcpy(part->name, name, n);
    parts->n_items++;
    return MTH_OK;
}

/* The first tensor on each region; SIZE_MAX for none. */
static void find_owners(const struct mth_region_map *map, size_t *owners)
{
    for (size_t i = 0; i < map->n_regions; i++)
        owners[i] = SIZE_MAX;
    for (size_t t = map->n_tensors; t-- > 0;) {
        if (map->tensors[t].region != MTH_NO_REGION)
            owners[map->tensors[t].region] = t;
    }
}

/* Parts by tensor; what no tensor lies on is one, what no region covers belongs to it. */
static int part_tensors(struct mth_container *container, const struct mth_region_map *map,
                        uint64_t stored_bytes, const size_t *owners, struct mth_parts *parts,
                        struct mth_error *err)
{
    struct mth_part header = {.dtype = MTH_DTYPE_OPAQUE}, framing = header;
    uint64_t n_owned_raw = 0, n_owned = 0, n_all;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        if (owners[i] == SIZE_MAX)
            continue;
        const struct mth_tensor *tensor = &map->tensors[owners[i]];
        struct mth_part part = {.dtype = region->dtype,
                                .role = role_names[tensor->role < N_ROLES ? tensor->role : MTH_ROLE_OTHER],
                                .raw_bytes = region->n_bytes};
        status =
            mth_container_stored_bytes(container, region->offset, region->n_bytes, &part.stored_bytes, err);
        if (!status)
            status = add(parts, "tensor", mth_tensor_name(map, tensor), &part);
        n_owned_raw += part.raw_bytes;
        n_owned += part.stored_bytes;
    }
    if (!status)
        status = mth_container_stored_bytes(container, 0, map->n_bytes, &n_all, err);
    if (status)
        return status;
    /* The bundles whose shares no tensor has; among them what those shares lost by rounding. */
    header.raw_bytes = map->n_bytes - n_owned_raw;
    header.stored_bytes = header.raw_bytes ? n_all - n_owned : 0;
    framing.stored_bytes = stored_bytes - n_owned - header.stored_bytes;
    status = add(parts, "tensor", "header", &header);
    return status ? status : add(parts, "tensor", "framing", &framing);
}

/* The parts by tensor summed up by a name that each has. */
static int sum_up(struct mth_parts *parts, size_t n_tensors, const char *by,
                  const char *(*name_of)(const struct mth_part *part))
{
    size_t first = parts->n_items;
    for (size_t i = 0; i < n_tensors; i++) {
        const struct mth_part *part = &parts->items[i];
        size_t at = first;
        while (at < parts->n_items && strcmp(parts->items[at].name, name_of(part)) != 0)
            at++;
        if (at == parts->n_items) {
            int status = add(parts, by, name_of(part), &(struct mth_part){.dtype = MTH_DTYPE_OPAQUE});
            if (status)
                return status;
        }
        parts->items[at].raw_bytes += part->raw_bytes;
        parts->items[at].stored_bytes += part->stored_bytes;
    }
    return MTH_OK;
}

/* Parts of no tensor have no role, and keep their names. */
static const char *dtype_name(const struct mth_part *part)
{
    return part->role ? mth_dtype_info(part->dtype)->name : part->name;
}

static const char *role_name(const struct mth_part *part)
{
    return part->role ? part->role : part->name;
}

int mth_parts_of(struct mth_bytes bytes, const struct mth_region_map *map, struct mth_memory *memory,
                 struct mth_parts *parts, struct mth_error *err)
{
    const struct mth_stream_config config = {.n_threads = 1, .memory = memory};
    struct mth_source source;
    struct mth_container *container;
    mth_source_memory("the container", bytes, &source);
    int status = mth_container_open(&source, &config, &container, err);
    if (status)
        return status;
    size_t *owners = malloc((map->n_regions + 1) * sizeof *owners);
    *parts = (struct mth_parts){
        .items = calloc(map->n_regions + 2 + MTH_N_DTYPES + 2 + N_ROLES + 2, sizeof *parts->items)};
    *err = (struct mth_error){0};
    status = owners && parts->items ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status) {
        find_owners(map, owners);
        status = part_tensors(container, map, bytes.n_bytes, owners, parts, err);
    }
    size_t n_tensors = parts->n_items;
    if (!status)
        status = sum_up(parts, n_tensors, "dtype", dtype_name);
    if (!status)
        status = sum_up(parts, n_tensors, "role", role_name);
    if (status && !err->status)
        mth_error_set(err, status, "no memory for the parts");
    if (status)
        mth_parts_free(parts);
    free(owners);
    mth_container_close(container);
    return status;
}

void mth_parts_free(struct mth_parts *parts)
{
    for (size_t i = 0; i < parts->n_items; i++)
        free(parts->items[i].name);
    free(parts->items);
    *parts = (struct mth_parts){0};
}
