/* What an ideal coder of a stated model would reach on a checkpoint: the number that stands beside each
 * ratio. */
#ifndef MTH_HARNESS_BOUNDS_H
#define MTH_HARNESS_BOUNDS_H

#include "pipeline/mithril.h"

struct mth_bound {
    const char *model; /* static */
    double ratio;      /* all raw bits over bits; INFINITY when the model charges nothing */
    double bits;       /* what the model's ideal coder spends on the whole checkpoint */
};

/*
 * The bound of a checkpoint, alone or against a base.
 *
 * Model     alone, "order0-exponent": floats spend the entropy of their exponents, pooled over all tensors
 *           of a dtype, and every other bit as it is; other dtypes spend the entropy of each byte plane.
 *           Against a base the one of two that spends less on what has a counterpart as compress pairs them (renamed,
 *           reshaped, converted ones too, of resized ones the rows in front), the rest as alone:
 *           "ulp-given-exponent", the model of step_entropy.h, tensor by tensor; or "order0-xor-bytes": the
 *           entropy of each byte plane of the xor, pooled over all tensors of a dtype; or "adam-steps-apart", the model of
 *           state_bound.h, on what Adam keeps, the rest as before. Opaque bytes and the
 *           model's own tables are charged nothing. A coder that looks at more (neighbours, rows) may pass it.
 * Shape     base: NULL for none
 * Errors    MTH_ERR_NO_MEMORY
 * Cost      about 1 ns a byte; two counters a dtype on the account of the input's map
 * Exact     counts are integers, so that the result does not depend on the order of tensors
 */
int mth_bound_compute(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                      struct mth_bound *out);

/* The same where the base itself became out of an older checkpoint: instead of "ulp-given-exponent" it is
 * "ulp-given-exponent-and-direction", of tensors that all three have whole and in one dtype. older: NULL for none. */
int mth_bound_compute_directed(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                               const struct mth_checkpoint *older, struct mth_bound *out);

#endif
