/*
 * Decodes whatever comes as a frame, in a build without checksum comparison, so that the index, the payloads and every
 * codec behind them see hostile bytes. Input: one byte that says whether there is a base, then the frame.
 */
#include "pipeline/mithril.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_RAW_BYTES = 1 << 20, BASE_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t base_bytes[BASE_BYTES];
    struct mth_frame_info info;
    struct mth_coder *coder;
    struct mth_error err;
    if (size < 1)
        return 0;
    struct mth_bytes frame = {data + 1, size - 1};
    struct mth_bytes base = {base_bytes, sizeof base_bytes};
    if (mth_frame_info(frame, &info, &err) || info.raw_bytes > MAX_RAW_BYTES)
        return 0;
    /* The limit turns an allocation that nothing justifies into an error, and the sanitizer's would be a crash. */
    struct mth_memory *memory = mth_memory_create((size_t)1 << 29);
    struct mth_coder_config config = {.n_threads = 1, .memory = memory};
    uint8_t *dst = malloc((size_t)info.raw_bytes + 1);
    if (memory && dst && mth_coder_create(&config, &coder, &err) == MTH_OK) {
        (void)mth_coder_decode(coder, frame, data[0] & 1 ? &base : NULL, dst, (size_t)info.raw_bytes, &err);
        mth_coder_destroy(coder);
    }
    free(dst);
    mth_memory_destroy(memory);
    return 0;
}
