/*
 * The planner: which bytes are coded together, with which pipeline, against which bytes of the base.
 *
 * A unit is a run of elements of one dtype that share a pipeline: one large tensor, or several small ones in
 * file order. Its segments say where its bytes lie in the file and, against a base, where their counterparts
 * lie in the base. A chunk is a fixed power-of-two piece of a unit.
 */
#ifndef MTH_PIPELINE_PLANNER_H
#define MTH_PIPELINE_PLANNER_H

#include "pipeline/pipeline.h"

struct mth_segment {
    uint64_t offset; /* in the file */
    uint64_t n_bytes;
    uint64_t base_offset; /* in the base's file; only in a unit that has a reference */
    uint64_t unit_offset; /* bytes of the unit's segments before this one */
};

struct mth_unit {
    enum mth_dtype dtype;
    uint32_t spec; /* index into the plan's specs */
    bool has_reference;
    size_t first_segment;
    size_t n_segments;
    uint64_t n_bytes;
    size_t first_chunk;
    size_t n_chunks;
};

/* The pipelines that a plan may use: what was asked for, and what stands in where that does not fit. */
enum mth_plan_spec {
    MTH_PLAN_ASKED = 0,
    MTH_PLAN_ALONE,  /* the same without its reference-taking filters */
    MTH_PLAN_WIDE,   /* elements of several bytes that the spec does not take */
    MTH_PLAN_NARROW, /* bytes */
    MTH_N_PLAN_SPECS
};

struct mth_plan {
    struct mth_memory *memory;
    size_t chunk_bytes;
    uint64_t raw_bytes;
    struct mth_segment *segments;
    size_t n_segments, segments_capacity;
    struct mth_unit *units;
    size_t n_units, units_capacity;
    size_t n_chunks;
    size_t n_tensors;       /* regions that are no opaque bytes; only a plan that was made counts them */
    size_t n_matched;       /* those with a counterpart in the base */
    uint64_t *base_offsets; /* scratch: one per region */
    size_t base_offsets_capacity;
    uint32_t *unit_of_segment; /* scratch */
    size_t unit_of_segment_capacity;
};

void mth_plan_init(struct mth_plan *plan, struct mth_memory *memory);
void mth_plan_free(struct mth_plan *plan);

/*
 * Plan a checkpoint. specs: the pipelines by enum mth_plan_spec; MTH_PLAN_ALONE may be NULL.
 * Reuses what the plan allocated before. Errors: MTH_ERR_NO_MEMORY, MTH_ERR_OVERFLOW.
 */
int mth_plan_make(struct mth_plan *plan, const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                  const struct mth_region_map *map, const struct mth_region_map *base, size_t chunk_bytes);

/* Unit and segment lists grow through these, also when a frame is read. Errors: MTH_ERR_NO_MEMORY. */
int mth_plan_add_unit(struct mth_plan *plan, const struct mth_unit *unit);
int mth_plan_add_segment(struct mth_plan *plan, const struct mth_segment *segment);

/* Sets n_chunks and first_chunk of every unit from its n_bytes. Errors: MTH_ERR_OVERFLOW. */
int mth_plan_count_chunks(struct mth_plan *plan);

/* The unit of a chunk. Cost: a binary search. */
const struct mth_unit *mth_plan_unit_of_chunk(const struct mth_plan *plan, size_t chunk);

/* Where a chunk lies in its unit. */
void mth_plan_chunk_range(const struct mth_plan *plan, const struct mth_unit *unit, size_t chunk,
                          uint64_t *offset, size_t *n_bytes);

/* The segment of a unit that holds a byte of it. Cost: a binary search. */
const struct mth_segment *mth_plan_segment_at(const struct mth_plan *plan, const struct mth_unit *unit,
                                              uint64_t unit_offset);

/* Grow an array to hold n things of size bytes; keeps its content. For the lists that the pipeline reuses. */
int mth_array_reserve(struct mth_memory *memory, void *array_pointer, size_t *capacity, size_t n,
                      size_t size);

#endif
