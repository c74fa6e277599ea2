/* What a coder of a training state would spend at best on what Adam keeps, given the state several steps before. */
#ifndef MTH_HARNESS_STATE_BOUND_H
#define MTH_HARNESS_STATE_BOUND_H

#include "pipeline/mithril.h"

/*
 * The bits of weights and moments of all parameters of Adam and AdamW that made two steps or more since the base.
 *
 * Model     "adam-steps-apart". m: sign and half octave, relative to those of what is left of m before the steps, in classes by how much that
 *           is beside what gradients of the size of the root of v before would add; 22 bits raw. w: its steps in units of the last place
 *           from the weights before, moved along m / sqrt(v) before and after, each by what least squares find for the tensor; v: from v before.
 *           Sign and half octave of the steps given the exponent of what they are from, the bits below raw. Each symbol costs the
 *           empirical entropy of its context in its tensor; tables are free
 * Shape     base_offsets: as mth_region_match sets them. covered: for each region, set where its bits are told; zeroed before
 * Errors    MTH_ERR_NO_MEMORY, those of reading
 */
int mth_state_bound(const struct mth_checkpoint *input, const struct mth_checkpoint *base,
                    const uint64_t *base_offsets, bool *covered, double *bits);

#endif
