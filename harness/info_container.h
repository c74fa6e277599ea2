/* What `mithril info` tells of a container. */
#ifndef MTH_HARNESS_INFO_CONTAINER_H
#define MTH_HARNESS_INFO_CONTAINER_H

#include "harness/opened.h"

/*
 * Print, or write as JSON, how a container was made, the tensors of its original and what each takes.
 * Errors: MTH_ERR_USAGE for a name that is no tensor's; those of opening the bases; damage.
 */
int mth_info_container(struct mth_opened *opened, const struct mth_options *options,
                       struct mth_memory *memory, struct mth_error *err);

#endif
