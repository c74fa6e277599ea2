/* The rules by which regions get their pipeline; see planner.h. */
#include "pipeline/planner.h"

const char *mth_plan_stand_in(enum mth_plan_spec spec)
{
    static const char *const texts[MTH_N_PLAN_SPECS] = {
        [MTH_PLAN_WIDE] = "byte-group+zstd:level=3",
        [MTH_PLAN_NARROW] = "zstd:level=3",
    };
    return texts[spec];
}

uint32_t mth_plan_choose_spec(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], enum mth_dtype dtype,
                              bool has_reference)
{
    struct mth_symbol_type type = mth_symbol_type_of(dtype);
    if ((has_reference || !specs[MTH_PLAN_ASKED]->needs_base) &&
        mth_pipeline_accepts(specs[MTH_PLAN_ASKED], type))
        return MTH_PLAN_ASKED;
    if (specs[MTH_PLAN_ALONE] && mth_pipeline_accepts(specs[MTH_PLAN_ALONE], type))
        return MTH_PLAN_ALONE;
    return mth_dtype_lane_bytes(dtype) > 1 ? MTH_PLAN_WIDE : MTH_PLAN_NARROW;
}
