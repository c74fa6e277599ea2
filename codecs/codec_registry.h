/* All codecs: those of codecs.def, then those that plug-ins brought. */
#ifndef MTH_CODECS_CODEC_REGISTRY_H
#define MTH_CODECS_CODEC_REGISTRY_H

#include "codecs/codec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The codec at a position, NULL past the last. */
const struct mth_codec *mth_codec_at(size_t index);
/* The codec of a name (n_name bytes), NULL when there is none. */
const struct mth_codec *mth_codec_find(const char *name, size_t n_name);
/*
 * Add a codec, which must stay valid for the rest of the process. Not safe beside other calls of this header.
 * Errors: MTH_ERR_USAGE when its ABI, name, options or functions are not as codec.h says, or the name is taken;
 * MTH_ERR_LIMIT when there is no room.
 */
int mth_codec_register(const struct mth_codec *codec, struct mth_error *err);

#ifdef __cplusplus
}
#endif
#endif
