/* The rules by which regions get their pipeline; see planner.h. */
#include "pipeline/planner.h"

const char *mth_plan_stand_in(enum mth_plan_spec spec)
{
    static const char *const texts[MTH_N_PLAN_SPECS] = {
        [MTH_PLAN_WIDE] = "byte-group+zstd:level=3",
        [MTH_PLAN_NARROW] = "zstd:level=3",
        [MTH_PLAN_NOTES] = "zstd:level=3:prefix=yes",
        [MTH_PLAN_STEPS] = "ulp-rans",
        [MTH_PLAN_CHANCES] = "chance-rans",
        [MTH_PLAN_MOMENT16] = "moment16+rans/store/store",
        [MTH_PLAN_MOMENT24] = "moment24+rans/store/rans/store",
        [MTH_PLAN_MOMENT32] = "moment32+store/rans",
        [MTH_PLAN_GRADIENT24] = "gradient24+rans/store/rans/store",
        [MTH_PLAN_DIVIDED24] = "divided24+rans/store/rans/store",
    };
    return texts[spec];
}

enum { N_RANKS = 4 };

static bool is_for(const struct mth_spec_guard *guard, enum mth_dtype dtype, enum mth_tensor_class class_)
{
    return (guard->dtype == MTH_N_DTYPES || guard->dtype == dtype) &&
           (guard->class_ == MTH_N_CLASSES || class_ == MTH_N_CLASSES || guard->class_ == class_);
}

/* 3 for dtype and class, 2 for a class, 1 for a dtype, 0 for neither. */
static unsigned rank_of(const struct mth_spec_guard *guard)
{
    return 2u * (guard->class_ != MTH_N_CLASSES) + (guard->dtype != MTH_N_DTYPES);
}

/* Those of a rank; of any where that is N_RANKS. */
static size_t collect(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                      const struct mth_spec_guard guards[MTH_MAX_CANDIDATES], enum mth_dtype dtype,
                      enum mth_tensor_class class_, bool has_reference, unsigned rank, uint32_t *out)
{
    struct mth_symbol_type type = mth_symbol_type_of(dtype);
    size_t n = 0;
    for (uint32_t i = 0; i < MTH_MAX_CANDIDATES; i++) {
        const struct mth_pipeline *asked = specs[MTH_PLAN_ASKED + i], *alone = specs[MTH_PLAN_ALONE + i];
        if (!is_for(&guards[i], dtype, class_) || (rank < N_RANKS && rank_of(&guards[i]) != rank))
            continue;
        if (asked && (has_reference || !asked->needs_base) && mth_pipeline_accepts(asked, type))
            out[n++] = MTH_PLAN_ASKED + i;
        else if (alone && mth_pipeline_accepts(alone, type))
            out[n++] = MTH_PLAN_ALONE + i;
    }
    return n;
}

/* What is lossy was asked for; a sample in which no row changed must not decide against it. */
static size_t keep_lossy(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (specs[out[i]]->is_lossy) {
            out[0] = out[i];
            n = 1;
        }
    }
    return n;
}

/* Do all of them look at the base, and none is lossy? */
static bool depend_on_base(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS], const uint32_t *out,
                           size_t n)
{
    bool depends = n > 0;
    for (size_t i = 0; i < n; i++)
        depends = depends && specs[out[i]]->nodes[0].wants_reference && !specs[out[i]]->is_lossy;
    return depends;
}

/* Is there anything among all that was asked for that does without the base? */
static bool some_choose(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                        const struct mth_spec_guard guards[MTH_MAX_CANDIDATES], unsigned rank)
{
    for (size_t i = 0; i < MTH_MAX_CANDIDATES; i++) {
        const struct mth_pipeline *asked = specs[MTH_PLAN_ASKED + i];
        if (asked && rank_of(&guards[i]) == rank && !asked->nodes[0].wants_reference)
            return true;
    }
    return false;
}

/* All that any class of a dtype may be coded with. */
static size_t collect_all(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                          const struct mth_spec_guard guards[MTH_MAX_CANDIDATES], enum mth_dtype dtype,
                          bool has_reference, uint32_t stand_in, uint32_t out[MTH_MAX_PLAN_CANDIDATES])
{
    bool guarded = false;
    size_t n = collect(specs, guards, dtype, MTH_N_CLASSES, has_reference, N_RANKS, out);
    for (size_t i = 0; i < MTH_MAX_CANDIDATES; i++)
        guarded = guarded || !mth_guard_is_open(&guards[i]);
    if (!guarded)
        n = keep_lossy(specs, out, n);
    if (guarded || n == 0 ||
        (has_reference && some_choose(specs, guards, 0) && depend_on_base(specs, out, n)))
        out[n++] = stand_in;
    return n;
}

/* Of the ranks below, what does without the base; where none of them is guarded, what stands in. */
static size_t add_without_base(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                               const struct mth_spec_guard guards[MTH_MAX_CANDIDATES], enum mth_dtype dtype,
                               enum mth_tensor_class class_, unsigned rank, uint32_t stand_in,
                               uint32_t out[MTH_MAX_PLAN_CANDIDATES], size_t n)
{
    uint32_t others[MTH_MAX_PLAN_CANDIDATES];
    size_t n_before = n;
    if (rank == 0) {
        if (some_choose(specs, guards, 0) && n < MTH_MAX_CANDIDATES)
            out[n++] = stand_in;
        return n;
    }
    while (n == n_before && rank-- > 0) {
        size_t n_others = collect(specs, guards, dtype, class_, false, rank, others);
        for (size_t i = 0; i < n_others; i++) {
            if (!specs[others[i]]->nodes[0].wants_reference)
                out[n++] = others[i];
        }
    }
    return n;
}

/*
 * What is no tensor has no values that lie near those of its base: a spec for tensors is used without. A spec that stands alone
 * is what was asked for; where it takes no bytes, or is one of several, there is also what finds them in the base again.
 */
static size_t add_notes(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                        uint32_t out[MTH_MAX_PLAN_CANDIDATES], size_t n)
{
    if (n == 1 && out[0] == MTH_PLAN_NARROW)
        out[0] = MTH_PLAN_NOTES;
    else if (specs[MTH_PLAN_ASKED + 1])
        out[n++] = MTH_PLAN_NOTES;
    return n;
}

size_t mth_plan_candidates(const struct mth_pipeline *const specs[MTH_N_PLAN_SPECS],
                           const struct mth_spec_guard guards[MTH_MAX_CANDIDATES], enum mth_dtype dtype,
                           enum mth_tensor_class class_, bool has_reference,
                           uint32_t out[MTH_MAX_PLAN_CANDIDATES])
{
    uint32_t stand_in = mth_dtype_lane_bytes(dtype) > 1 ? MTH_PLAN_WIDE : MTH_PLAN_NARROW;
    unsigned rank = N_RANKS;
    size_t n = 0;
    if (dtype == MTH_DTYPE_OPAQUE && has_reference)
        return add_notes(specs, out, mth_plan_candidates(specs, guards, dtype, class_, false, out));
    if (class_ == MTH_N_CLASSES)
        return collect_all(specs, guards, dtype, has_reference, stand_in, out);
    while (n == 0 && rank-- > 0)
        n = keep_lossy(specs, out, collect(specs, guards, dtype, class_, has_reference, rank, out));
    /* Where a list has something that does without the base, no dtype is left to its base alone. */
    if (has_reference && depend_on_base(specs, out, n))
        n = add_without_base(specs, guards, dtype, class_, rank, stand_in, out, n);
    if (n == 0)
        out[n++] = stand_in;
    return n;
}
