/* What an optimizer keeps of each parameter, by the names that PyTorch gives it. */
#ifndef MTH_FORMATS_OPTIMIZER_STATE_H
#define MTH_FORMATS_OPTIMIZER_STATE_H

#include "formats/region_map.h"

enum mth_kept {
    MTH_KEPT_W,        /* the parameter itself */
    MTH_KEPT_M,        /* a moving average of gradients: exp_avg, grad_avg */
    MTH_KEPT_V,        /* one of their squares, or their sum: exp_avg_sq, square_avg, sum */
    MTH_KEPT_MAX,      /* the largest V so far: max_exp_avg_sq */
    MTH_KEPT_MOMENTUM, /* momentum_buffer */
    MTH_KEPT_STEP,
    MTH_N_KEPT
};

/* Behind "state.", at the beginning of a name or behind a dot; NULL: it is not there. */
const char *mth_optimizer_behind_state(const char *name);

/* What a tensor is that is kept of a parameter, by the last part of its name, less the place of a chunk ("@16,0"), or by the first
 * behind "state."; MTH_N_KEPT: nothing. */
enum mth_kept mth_kept_of(const char *name);
/* By the first behind "state." alone. */
enum mth_kept mth_kept_before(const char *name);

/* Numbers of tensors, MTH_NO_TENSOR for what is not kept. */
struct mth_kept_tensors {
    uint32_t tensors[MTH_N_KEPT];
};

/* For each tensor of a map what is kept of it as a parameter; to be freed. NULL: no memory. */
struct mth_kept_tensors *mth_optimizer_list_kept(const struct mth_region_map *map, struct mth_memory *memory);

/* How many steps a STEP says: one fp32 or an integer of 64 bits, in bytes of a source that begin where the tensor does. -1: it
 * says none. Errors: those of reading. */
int mth_optimizer_read_step(const struct mth_source *source, const struct mth_tensor *tensor, uint64_t offset,
                            double *step, struct mth_error *err);

#endif
