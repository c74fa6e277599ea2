/* The rules by which regions get their pipeline; see planner.h. */
#include "pipeline/planner.h"

const char *mth_plan_stand_in(enum mth_plan_spec spec)
{
    static const char *const texts[MTH_N_PLAN_SPECS] = {
        [MTH_PLAN_WIDE] = "byte-group+zstd:level=3",
        [MTH_PLAN_NARROW] = "zstd:level=3",
        [MTH_PLAN_STEPS] = "ulp-rans",
        [MTH_PLAN_MOMENT16] = "moment16+rans/store/store",
        [MTH_PLAN_MOMENT32] = "moment32+store/rans",
    };
    return texts[spec];
}

size_t mth_plan_candidates(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], enum mth_dtype dtype,
                           bool has_reference, uint32_t out[MTH_MAX_CANDIDATES])
{
    struct mth_symbol_type type = mth_symbol_type_of(dtype);
    size_t n = 0;
    for (uint32_t i = 0; i < MTH_MAX_CANDIDATES; i++) {
        const struct mth_pipeline *asked = specs[MTH_PLAN_ASKED + i], *alone = specs[MTH_PLAN_ALONE + i];
        if (asked && (has_reference || !asked->needs_base) && mth_pipeline_accepts(asked, type))
            out[n++] = MTH_PLAN_ASKED + i;
        else if (alone && mth_pipeline_accepts(alone, type))
            out[n++] = MTH_PLAN_ALONE + i;
    }
    /* What is lossy was asked for; a sample in which no row changed must not decide against it. */
    for (size_t i = 0; i < n; i++) {
        if (specs[out[i]]->is_lossy) {
            out[0] = out[i];
            n = 1;
        }
    }
    /* Where a list has something that does without the base, no dtype is left to its base alone. */
    bool chooses = false, depends = n > 0 && n < MTH_MAX_CANDIDATES;
    for (size_t i = 0; i < MTH_MAX_CANDIDATES; i++)
        chooses |= specs[MTH_PLAN_ASKED + i] && !specs[MTH_PLAN_ASKED + i]->nodes[0].wants_reference;
    for (size_t i = 0; i < n; i++)
        depends &= specs[out[i]]->nodes[0].wants_reference;
    if (n == 0 || (!specs[out[0]]->is_lossy && has_reference && chooses && depends))
        out[n++] = mth_dtype_lane_bytes(dtype) > 1 ? MTH_PLAN_WIDE : MTH_PLAN_NARROW;
    return n;
}
