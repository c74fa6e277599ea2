/*
 * Which parameter a tensor of an optimizer's state belongs to, going by names alone: in files that say nothing else of it,
 * safetensors and torch.distributed.checkpoint.
 */
#ifndef MTH_FORMATS_PARAM_NAMES_H
#define MTH_FORMATS_PARAM_NAMES_H

#include "formats/region_map.h"

/*
 * Of "<path>.state.NAME.exp_avg" it is the tensor "NAME" or "<first part of another name>.NAME", of the same chunk. A name without "state"
 * is taken for that of a state where its last part is one of an optimizer's: then NAME is all before that, or all behind a first part that begins with "opt".
 * As Megatron has it, of "<path>.state.exp_avg.NAME" it is "<path>.state.fp32_param.NAME" or NAME as above, and of "<path>.exp_avg" it is
 * "<path>.param".
 *
 * Errors    MTH_ERR_NO_MEMORY
 */
int mth_params_match_names(struct mth_region_map *map);

#endif
