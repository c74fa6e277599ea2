/* A block that was just made, restored and compared; see bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"

#include <string.h>

static int fail_to_restore(const struct mth_bundle *made, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_CHECKSUM,
                         "the bundle at byte %llu does not restore to the same bytes; nothing was written",
                         (unsigned long long)made->offset);
}

int mth_bundle_restore_made(const struct mth_bundle_encoder *encoder, size_t worker_index,
                            struct mth_bytes body, const uint8_t *bytes, struct mth_error *err)
{
    struct mth_coder *coder = encoder->coder;
    struct mth_bundle_lane *lane = &coder->bundle_workers[worker_index].lanes[1];
    const struct mth_bundle *made = &coder->bundle_workers[worker_index].lanes[0].bundle;
    struct mth_bundle_decoder parser = {
        .coder = coder, .front = encoder->front, .chunk_bytes = coder->chunk_bytes};
    struct mth_bundle_decoder decoder = {
        .coder = coder, .front = encoder->plan_front, .base = encoder->base, .is_compared = true};
    struct mth_error inner = {0};
    int status = mth_array_reserve(coder->memory, &lane->bytes, &lane->bytes_capacity, made->n_bytes, 1);
    if (status)
        return mth_error_set(err, status, "no memory to verify");
    status = mth_bundle_parse(&parser, body, made->offset, &lane->bundle, &inner);
    for (size_t i = 0; !status && i < lane->bundle.n_chunks; i++) {
        struct mth_bundle_chunk *chunk = &lane->bundle.chunks[i];
        bool is_coded = chunk->mode == MTH_CHUNK_CODED || chunk->mode == MTH_CHUNK_PREDICTED;
        for (uint32_t s = 0; is_coded && s < MTH_N_PLAN_SPECS; s++) {
            if (encoder->numbers.of[s] == chunk->spec) {
                chunk->spec = s;
                break;
            }
        }
    }
    /* What a decoder leaves out is not the original's by chance. */
    if (!status) {
        memset(lane->bytes, ~(bytes ? bytes : made->chunks[0].view)[0], made->n_bytes);
        struct mth_bundle_job job = {.bundle = &lane->bundle, .dst = lane->bytes};
        status = mth_bundle_decode(&decoder, worker_index, &job, 1, &inner);
    }
    if (status == MTH_ERR_NO_MEMORY || status == MTH_ERR_IO)
        return mth_error_set(err, status, "%s", inner.text);
    return status ? fail_to_restore(made, err) : MTH_OK;
}

/* What was restored, beside what it was made of. */
static bool is_as_made(const struct mth_bundle *made, const uint8_t *bytes, const uint8_t *restored)
{
    bool is_same = !bytes || memcmp(restored, bytes, made->n_bytes) == 0;
    for (size_t i = 0; !bytes && is_same && i < made->n_chunks; i++) {
        const struct mth_bundle_chunk *chunk = &made->chunks[i];
        is_same = memcmp(restored + made->segments[chunk->first].at, chunk->view, chunk->n_bytes) == 0;
    }
    return is_same;
}

int mth_bundle_verify(const struct mth_bundle_encoder *encoder, size_t worker_index, struct mth_bytes body,
                      const uint8_t *bytes, struct mth_error *err)
{
    const struct mth_bundle_lane *lanes = encoder->coder->bundle_workers[worker_index].lanes;
    int status = mth_bundle_restore_made(encoder, worker_index, body, bytes, err);
    if (!status && !is_as_made(&lanes[0].bundle, bytes, lanes[1].bytes))
        status = fail_to_restore(&lanes[0].bundle, err);
    return status;
}
