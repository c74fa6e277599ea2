/*
 * The rules by which regions get their pipeline: which of the candidates of what was asked for fit, and what stands in
 * where none does. Which of several is taken: plan_sample.c. How regions become chunks and bundles: bundle_plan.c.
 */
#ifndef MTH_PIPELINE_PLANNER_H
#define MTH_PIPELINE_PLANNER_H

#include "pipeline/pipeline.h"

/* The pipelines that a plan may use, each by its number: what was asked for, and what stands in where that does not fit. */
enum mth_plan_spec {
    MTH_PLAN_ASKED = 0,                     /* the candidates */
    MTH_PLAN_ALONE = MTH_MAX_CANDIDATES,    /* the same without their reference-taking filters */
    MTH_PLAN_WIDE = 2 * MTH_MAX_CANDIDATES, /* elements of several bytes that no candidate takes */
    MTH_PLAN_NARROW,                        /* bytes */
    MTH_PLAN_NOTES,                         /* what is no tensor, where the base has its like */
    MTH_PLAN_STEPS,                         /* what is nearly as predicted */
    MTH_PLAN_CHANCES,                       /* what was rounded by chance */
    MTH_PLAN_MOMENT16,                      /* first moments of an optimizer, of bf16 gradients */
    MTH_PLAN_MOMENT24,                      /* of sums of some, and of fp16 ones */
    MTH_PLAN_MOMENT32,                      /* and of others */
    MTH_PLAN_GRADIENT24,   /* moments and momentum, summed otherwise of gradients of few bits */
    MTH_PLAN_DIVIDED24,    /* and what they moved, divided by the root of their squares */
    MTH_PLAN_MORE_MOMENTS, /* any of these again, for groups of parameters with other numbers */
    MTH_N_PLAN_SPECS = MTH_PLAN_MORE_MOMENTS + 3
};

/* Pipelines of moments, first those with the numbers of one group each. With all others they are one more than a container may have. */
enum { MTH_N_MOMENTS = MTH_N_PLAN_SPECS - MTH_PLAN_MOMENT16 };

enum { MTH_MAX_PLAN_CANDIDATES = MTH_MAX_CANDIDATES + 2 }; /* and stand-ins */

/* The text of a stand-in, NULL for a spec that is none. Those from MTH_PLAN_STEPS on are for tensors that are predicted from
 * others; moments get their options when they are known, and more of them are there only then. */
const char *mth_plan_stand_in(enum mth_plan_spec spec);

/*
 * The rules of docs/spec.md: what a dtype's tensors may be coded with, in order of preference.
 *
 * Shape     specs: by enum mth_plan_spec, NULL where there is none; guards: of those asked for; out: at least one is set;
 *           class MTH_N_CLASSES: what any class may be coded with
 */
size_t mth_plan_candidates(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                           const struct mth_spec_guard guards[MTH_MAX_CANDIDATES], enum mth_dtype dtype,
                           enum mth_tensor_class class_, bool has_reference,
                           uint32_t out[MTH_MAX_PLAN_CANDIDATES]);

#endif
