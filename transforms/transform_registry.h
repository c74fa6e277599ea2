/* All transforms: those of transforms.def, then those that plug-ins brought. */
#ifndef MTH_TRANSFORMS_TRANSFORM_REGISTRY_H
#define MTH_TRANSFORMS_TRANSFORM_REGISTRY_H

#include "transforms/transform.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The transform at a position, NULL past the last. */
const struct mth_transform *mth_transform_at(size_t index);
/* The transform of a name (n_name bytes), NULL when there is none. */
const struct mth_transform *mth_transform_find(const char *name, size_t n_name);
/* As mth_codec_register, for a transform. */
int mth_transform_register(const struct mth_transform *transform, struct mth_error *err);

#ifdef __cplusplus
}
#endif
#endif
