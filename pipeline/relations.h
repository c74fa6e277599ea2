/*
 * Which tensors of a checkpoint are predicted from each other, and how: its families. docs/states.md has the rules.
 *
 * Found in the order of certainty: what an optimizer keeps of a parameter (by the file's own word), copies that are the same
 * or the rounding of another (by a few elements of each). A wrong guess costs time, never a bit.
 */
#ifndef MTH_PIPELINE_RELATIONS_H
#define MTH_PIPELINE_RELATIONS_H

#include "formats/region_map.h"
#include "pipeline/layout.h"
#include "pipeline/planner.h"
#include "transforms/predictors/divided.h"
#include "transforms/predictors/predictor.h"

/* Tensors of fewer elements are not worth an entry. */
enum { MTH_MIN_RELATED_ELEMS = 64 };

/* A member of a family. Its inputs are the chunks of members before it, or what the base has of members. */
struct mth_related {
    uint32_t region;
    uint8_t predictor; /* MTH_PREDICT_NOTHING without inputs: coded as any other tensor */
    uint8_t n_inputs;
    uint8_t spec; /* of the plan */
    struct {
        uint8_t source, member;
    } inputs[MTH_MAX_INPUTS];
    uint32_t settings[MTH_MAX_SETTINGS];
};

struct mth_relations {
    struct mth_layout layout;
    struct mth_related *members; /* as those of the layout */
    size_t members_capacity;
    uint32_t *kinds; /* for each family: those of one kind are predicted alike */
    size_t kinds_capacity;
    uint32_t n_kinds;
    bool *is_member;      /* for each region */
    size_t largest_bytes; /* of a piece of all members */
};

void mth_relations_free(struct mth_relations *relations);

/* A family while it is put together. */
struct mth_growing_family {
    struct mth_related members[MTH_MAX_FAMILY_MEMBERS];
    size_t n;
};

/* All of them, and where the regions of a map are in them. */
struct mth_families {
    struct mth_memory *memory;
    const struct mth_region_map *map;
    struct mth_growing_family *of;
    size_t n, capacity;
    struct {
        uint32_t family; /* and 1; 0: none yet */
        uint8_t member;
        bool is_copy;
    } * regions;
};

int mth_families_init(struct mth_families *families, const struct mth_region_map *map,
                      struct mth_memory *memory);
void mth_families_free(struct mth_families *families);
/* Is a region predicted from others, or from what the base has? */
bool mth_families_predict(const struct mth_families *families, size_t region);
/* A family of these members, none of which is in one. Errors: MTH_ERR_NO_MEMORY. */
int mth_families_begin(struct mth_families *families, const struct mth_related *members, size_t n);
/* A copy of a region goes to its family, which begins where there is none; to none where that is full. */
int mth_families_join(struct mth_families *families, uint32_t region, uint32_t copy, uint8_t predictor);

/* A member that is predicted from what the base has of itself and from a region goes to the family of that, as copies do. */
int mth_families_follow(struct mth_families *families, uint32_t region, const struct mth_related *follower);

/* Copies among the tensors that are in no family yet, of these and of those that are: the same bytes, or fp32 rounded to 16
 * bits. Errors: those of reading; MTH_ERR_NO_MEMORY. */
int mth_families_find_copies(struct mth_families *families, const struct mth_source *input,
                             struct mth_error *err);

struct mth_bundle_planner;

struct mth_base_reader;
struct mth_base_use;

/* What the base has of regions. */
struct mth_counterparts {
    const struct mth_base_reader *reader;
    const uint32_t *references; /* for each region that of the base, or MTH_NO_REFERENCE */
    const uint64_t *origins;    /* for each region where in that it begins; NULL: at its first byte */
};

/* Where the base has the first byte of a region that has a reference. */
uint64_t mth_counterpart_offset(const struct mth_counterparts *base, uint32_t region);

/* A transform of moments with its numbers; those that it does not have are 0. */
struct mth_moments {
    uint8_t kind; /* MTH_PLAN_MOMENT16 .. MTH_PLAN_DIVIDED24; 0: there is none */
    bool by_squares;
    uint32_t numbers[MTH_N_DIVIDED];
};

/* What steps of an optimizer are redone with, by plan spec from MTH_PLAN_MOMENT16 on: groups of parameters that differ in these numbers
 * have one each. */
struct mth_replay {
    struct mth_moments of[MTH_N_MOMENTS];
};

/*
 * Parameters whose optimizer made one step since the base: their m, v and weights become families, or join those of their
 * copies.
 *
 * Errors    those of reading; MTH_ERR_NO_MEMORY
 */
int mth_families_find_replays(struct mth_families *families, const struct mth_source *input,
                              const struct mth_base_use *use, const struct mth_counterparts *base,
                              struct mth_replay *replay, struct mth_error *err);

/* Does any member of a settled family look at the base? */
bool mth_family_refers(const struct mth_related *members, size_t n);

/* Moving averages of weights, by their names and a few elements, where the base has them too. Errors: those of reading;
 * MTH_ERR_NO_MEMORY. */
int mth_families_find_averages(struct mth_families *families, const struct mth_source *input,
                               const struct mth_counterparts *base, struct mth_error *err);

/*
 * Small tensors that differ from what the base has of them, and lie far apart among ones that do not (LoRA's matrices, between those
 * that it adapts): those of one size are families though nothing is predicted, so that they stand together and share a chunk.
 * Nothing where that saves no bundles.
 *
 * Errors    those of reading; MTH_ERR_NO_MEMORY
 */
int mth_families_gather_moved(struct mth_families *families, const struct mth_source *input,
                              const struct mth_counterparts *base, struct mth_bundle_planner *planner,
                              struct mth_error *err);

/* Does a family only stand together? Then its members share a chunk, and that with other such families of its kind. */
bool mth_family_is_gathered(const struct mth_related *members, size_t n);

/* The layout and the kinds of families that are complete; those of one member are none. The planner knows what members are
 * coded with that are not predicted. Errors: MTH_ERR_NO_MEMORY. */
int mth_relations_settle(struct mth_relations *relations, const struct mth_families *families,
                         struct mth_bundle_planner *planner);

#endif
