/* store: the stream as it is. The pipeline moves such a stream without calling anything. */
#include "codecs/codec.h"

const struct mth_codec mth_codec_store = {
    .abi = MTH_CODEC_ABI,
    .wire_version = 1,
    .name = "store",
    .summary = "the stream as it is",
    .flags = MTH_CODEC_IDENTITY,
};
