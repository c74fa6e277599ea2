/*
 * The rules by which regions get their pipeline: what was asked for, or what stands in where that does not fit. How
 * regions become chunks and bundles: bundle_plan.c.
 */
#ifndef MTH_PIPELINE_PLANNER_H
#define MTH_PIPELINE_PLANNER_H

#include "pipeline/pipeline.h"

/* The pipelines that a plan may use: what was asked for, and what stands in where that does not fit. */
enum mth_plan_spec {
    MTH_PLAN_ASKED = 0,
    MTH_PLAN_ALONE,  /* the same without its reference-taking filters */
    MTH_PLAN_WIDE,   /* elements of several bytes that the spec does not take */
    MTH_PLAN_NARROW, /* bytes */
    MTH_N_PLAN_SPECS
};

/* The text of a stand-in, NULL for a spec that is none. */
const char *mth_plan_stand_in(enum mth_plan_spec spec);

/* The rules of docs/spec.md: the spec of a dtype's tensors, by enum mth_plan_spec. specs: MTH_PLAN_ALONE may be NULL. */
uint32_t mth_plan_choose_spec(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], enum mth_dtype dtype,
                              bool has_reference);

#endif
