/* Small tensors that were trained, scattered among ones that rest; see relations.h. */
#include "pipeline/relations.h"

#include "base/checked.h"
#include "pipeline/bundle.h"

#include <stdlib.h>
#include <string.h>

enum {
    N_PROBES = 4,
    PROBE_BYTES = 256,
    SMALL_SHARE = 8, /* of a bundle; what is larger is worth tables of its own */
    MIN_SAVED = 2,
    MAX_STRETCHES = 1 << 20, /* of larger files nothing is gathered: each takes a byte */
    BUNDLE_COST = 100, /* bytes, about: tables, states and plan of what was trained, in a bundle of its own */
    MEMBER_COST = 6    /* of the layout */
};

/* What there is in a bundle's worth of the file. */
enum stretch { RESTS, HOLDS_SMALL, KEEPS };

/* A small tensor that was trained. */
struct moved {
    uint64_t n_elems;
    uint32_t region, stretch;
    uint8_t dtype, spec, fallback, has_older;
};

struct gather {
    struct mth_families *families;
    struct mth_bundle_planner *planner;
    struct moved *of;
    size_t n;
    uint8_t *stretches; /* each an enum stretch */
};

/* Does a region differ from what the base has of it, in any of a few places? */
static int is_moved(const struct mth_source *input, const struct mth_counterparts *base,
                    const struct mth_region *region, uint32_t index, bool *moved, struct mth_error *err)
{
    uint8_t probes[2][PROBE_BYTES];
    uint64_t n_bytes = region->n_bytes, in_base = mth_counterpart_offset(base, index);
    size_t n = (size_t)mth_u64_min(n_bytes, PROBE_BYTES);
    uint64_t n_probes = n_bytes <= N_PROBES * PROBE_BYTES ? 1 : N_PROBES;
    uint64_t step = n_probes == 1 ? 0 : (n_bytes - n) / (n_probes - 1);
    int status = MTH_OK;
    *moved = false;
    for (uint64_t i = 0; !status && !*moved && i < n_probes; i++) {
        status = mth_source_read(input, region->offset + i * step, probes[0], n, err);
        if (!status)
            status = mth_source_read(base->reader->source, in_base + i * step, probes[1], n, err);
        *moved = !status && memcmp(probes[0], probes[1], n) != 0;
    }
    return status;
}

static bool may_gather(const struct gather *g, size_t index)
{
    const struct mth_region *region = &g->families->map->regions[index];
    size_t width = mth_dtype_lane_bytes(region->dtype);
    return region->dtype != MTH_DTYPE_OPAQUE && !g->families->regions[index].family &&
           region->n_bytes % width == 0 && region->n_bytes / width >= MTH_MIN_RELATED_ELEMS &&
           region->n_bytes <= g->planner->chunk_bytes / SMALL_SHARE;
}

/* Finds what moved. What is coded without a base has moved, as far as is known. */
static int look(struct gather *g, const struct mth_source *input, const struct mth_counterparts *base,
                struct mth_error *err)
{
    const struct mth_region_map *map = g->families->map;
    size_t chunk_bytes = g->planner->chunk_bytes;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < map->n_regions; i++) {
        const struct mth_region *region = &map->regions[i];
        bool has_reference, moved = true;
        uint32_t spec = mth_bundle_planner_spec(g->planner, i, &has_reference);
        has_reference = has_reference && base->references[i] != MTH_NO_REFERENCE;
        if (region->dtype == MTH_DTYPE_OPAQUE || region->n_bytes == 0)
            continue;
        if (has_reference)
            status = is_moved(input, base, region, (uint32_t)i, &moved, err);
        if (status || !moved)
            continue;
        uint64_t first = region->offset / chunk_bytes,
                 last = (region->offset + region->n_bytes - 1) / chunk_bytes;
        if (has_reference && may_gather(g, i)) {
            g->of[g->n++] = (struct moved){
                .n_elems = region->n_bytes / mth_dtype_lane_bytes(region->dtype),
                .region = (uint32_t)i,
                .stretch = (uint32_t)first,
                .dtype = (uint8_t)region->dtype,
                .spec = (uint8_t)spec,
                .fallback = g->planner->fallbacks ? g->planner->fallbacks[i] : (uint8_t)MTH_NO_FALLBACK,
                .has_older = mth_bundle_planner_older(g->planner, i) != MTH_NO_REFERENCE};
            if (g->stretches[first] == RESTS)
                g->stretches[first] = HOLDS_SMALL;
            continue;
        }
        memset(g->stretches + first, KEEPS, (size_t)(last - first + 1));
    }
    return status;
}

/* Those that may be of one family together, as they lie in the file. */
static int compare(const void *left, const void *right)
{
    const struct moved *a = left, *b = right;
    if (a->dtype != b->dtype)
        return a->dtype < b->dtype ? -1 : 1;
    if (a->spec != b->spec)
        return a->spec < b->spec ? -1 : 1;
    if (a->fallback != b->fallback)
        return a->fallback < b->fallback ? -1 : 1;
    if (a->has_older != b->has_older)
        return a->has_older < b->has_older ? -1 : 1;
    if (a->n_elems != b->n_elems)
        return a->n_elems < b->n_elems ? -1 : 1;
    return (a->region > b->region) - (a->region < b->region);
}

/* How many from i on are alike. */
static size_t alike(const struct gather *g, size_t i)
{
    size_t end = i + 1;
    while (end < g->n && g->of[end].n_elems == g->of[i].n_elems && g->of[end].dtype == g->of[i].dtype &&
           g->of[end].spec == g->of[i].spec && g->of[end].fallback == g->of[i].fallback &&
           g->of[end].has_older == g->of[i].has_older)
        end++;
    return end - i;
}

/* Leaves out what has to stay where it is, and what lies beside that; which may leave others alone in turn. */
static void leave_out(struct gather *g)
{
    size_t n;
    do {
        n = g->n;
        for (size_t i = 0, n_alike; i < g->n; i += n_alike) {
            n_alike = alike(g, i);
            if (n_alike == 1)
                g->stretches[g->of[i].stretch] = KEEPS;
        }
        g->n = 0;
        for (size_t i = 0; i < n; i++) {
            if (g->stretches[g->of[i].stretch] != KEEPS)
                g->of[g->n++] = g->of[i];
        }
    } while (g->n < n);
}

/* Are there fewer bundles with something in them, by more than the layout takes? */
static bool pays(const struct gather *g, size_t n_stretches)
{
    const struct mth_region *regions = g->families->map->regions;
    uint64_t n_before = 0, n_bytes = 0;
    for (size_t i = 0; i < n_stretches; i++)
        n_before += g->stretches[i] == HOLDS_SMALL;
    for (size_t i = 0; i < g->n; i++)
        n_bytes += regions[g->of[i].region].n_bytes;
    uint64_t n_after = (n_bytes + g->planner->chunk_bytes - 1) / g->planner->chunk_bytes;
    return n_before >= n_after + MIN_SAVED && (n_before - n_after) * BUNDLE_COST > g->n * MEMBER_COST;
}

static int begin_families(const struct gather *g)
{
    int status = MTH_OK;
    for (size_t i = 0, n_alike; !status && i < g->n; i += n_alike) {
        n_alike = alike(g, i);
        for (size_t done = 0, n; !status && done < n_alike; done += n) {
            struct mth_related members[MTH_MAX_FAMILY_MEMBERS] = {{0}};
            size_t left = n_alike - done;
            /* None is left alone. */
            n = left <= MTH_MAX_FAMILY_MEMBERS       ? left
                : left == MTH_MAX_FAMILY_MEMBERS + 1 ? MTH_MAX_FAMILY_MEMBERS - 1
                                                     : (size_t)MTH_MAX_FAMILY_MEMBERS;
            for (size_t m = 0; m < n; m++) {
                members[m].region = g->of[i + done + m].region;
                /* What else keeps them apart from other families. */
                members[m].settings[1] = g->of[i + done + m].fallback;
                members[m].settings[2] = g->of[i + done + m].has_older;
            }
            status = mth_families_begin(g->families, members, n);
        }
    }
    return status;
}

int mth_families_gather_moved(struct mth_families *families, const struct mth_source *input,
                              const struct mth_counterparts *base, struct mth_bundle_planner *planner,
                              struct mth_error *err)
{
    const struct mth_region_map *map = families->map;
    struct mth_memory *memory = families->memory;
    size_t n_stretches = (size_t)(map->n_bytes / planner->chunk_bytes) + 1;
    if (n_stretches > MAX_STRETCHES)
        return MTH_OK;
    struct gather g = {.families = families,
                       .planner = planner,
                       .of = mth_memory_calloc(memory, map->n_regions, sizeof *g.of),
                       .stretches = mth_memory_calloc(memory, n_stretches, 1)};
    int status = g.of && g.stretches ? MTH_OK : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to plan");
    if (!status)
        status = look(&g, input, base, err);
    if (!status && g.n) {
        qsort(g.of, g.n, sizeof *g.of, compare);
        leave_out(&g);
        if (g.n && pays(&g, n_stretches) && begin_families(&g))
            status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to plan");
    }
    mth_memory_free(memory, g.of);
    mth_memory_free(memory, g.stretches);
    return status;
}
