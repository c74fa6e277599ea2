/* What lossy pipelines do to a bundle: it becomes what a reader restores, and how far that is from the original is measured; see
 * bundle.h. */
#include "pipeline/bundle.h"

#include "base/checked.h"

#include <float.h>
#include <math.h>
#include <string.h>

static double float_at(const uint8_t *p)
{
    uint32_t bits = mth_load32(p);
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

/* Elements of one row, or the part of it that the chunk has. Those that are no finite numbers are never changed. */
static void measure_row(const uint8_t *before, const uint8_t *after, size_t n_elems, struct mth_loss *loss)
{
    double squares = 0;
    for (size_t i = 0; i < n_elems; i++) {
        double x = float_at(before + 4 * i), error = fabs(float_at(after + 4 * i) - x);
        if (!(fabs(x) <= FLT_MAX))
            continue;
        loss->sum_abs += error;
        loss->max_abs = error > loss->max_abs ? error : loss->max_abs;
        squares += error * error;
    }
    loss->sum_l2 += sqrt(squares);
    loss->n_elems += n_elems;
    loss->n_rows++;
}

/* The tables in a chunk; what has no rows is nobody's to quantize. */
static void measure_chunk(const struct mth_bundle *bundle, size_t chunk, const uint8_t *before,
                          const uint8_t *after, struct mth_loss *loss)
{
    for (size_t i = 0; i < bundle->n_pieces; i++) {
        const struct mth_bundle_piece *piece = &bundle->pieces[i];
        if (piece->chunk != chunk)
            continue;
        size_t n_left = piece->row_elems ? piece->n_bytes / 4 : 0, n = piece->row_elems - piece->phase;
        for (size_t at = 0; n_left > 0; at += 4 * n, n_left -= n, n = piece->row_elems) {
            n = n < n_left ? n : n_left;
            measure_row(before + at, after + at, n, loss);
        }
        before += piece->n_bytes;
        after += piece->n_bytes;
    }
}

/* Is the bundle restored as a reader will, and, where nothing in it is lossy, to the original? */
static int settle_chunks(const struct mth_bundle_encoder *encoder, size_t worker_index, const uint8_t *bytes,
                         const uint8_t *restored, struct mth_error *err)
{
    struct mth_coder_worker *worker = &encoder->coder->workers[worker_index];
    struct mth_bundle *bundle = &encoder->coder->bundle_workers[worker_index].lanes[0].bundle;
    for (size_t i = 0; i < bundle->n_chunks; i++) {
        const struct mth_bundle_chunk *chunk = &bundle->chunks[i];
        struct mth_bytes before, after;
        int status = mth_bundle_gather(bundle, chunk, bytes, &worker->gathered[0],
                                       &worker->gathered_capacity[0], &before);
        if (!status)
            status = mth_bundle_gather(bundle, chunk, restored, &worker->gathered[1],
                                       &worker->gathered_capacity[1], &after);
        if (status)
            return mth_error_set(err, status, "no memory to measure what was lost");
        if (encoder->specs[chunk->spec]->pipeline->is_lossy)
            measure_chunk(bundle, i, before.data, after.data, &bundle->loss);
        else if (memcmp(before.data, after.data, chunk->n_bytes) != 0)
            return mth_error_set(err, MTH_ERR_CHECKSUM,
                                 "the bundle at byte %llu does not restore to the same bytes; nothing was "
                                 "written",
                                 (unsigned long long)bundle->offset);
    }
    return MTH_OK;
}

int mth_bundle_settle(const struct mth_bundle_encoder *encoder, size_t worker_index, struct mth_buffer *block,
                      const uint8_t *bytes, bool verify, struct mth_error *err)
{
    struct mth_bundle_lane *lanes = encoder->coder->bundle_workers[worker_index].lanes;
    struct mth_bundle *bundle = &lanes[0].bundle;
    struct mth_bytes body = {block->data + MTH_BLOCK_HEAD_BYTES, block->n_bytes - MTH_BLOCK_HEAD_BYTES};
    bundle->loss = (struct mth_loss){.is_lossy = true};
    int status = mth_bundle_restore_made(encoder, worker_index, body, bytes, err);
    if (!status)
        status = settle_chunks(encoder, worker_index, bytes, lanes[1].bytes, err);
    if (status)
        return status;
    bundle->leaf = mth_hash64(lanes[1].bytes, bundle->n_bytes, 0);
    mth_store64(block->data + block->n_bytes - 8, bundle->leaf);
    if (!verify)
        return MTH_OK;
    status = mth_bundle_restore_made(encoder, worker_index, body, bytes, err);
    if (!status && mth_hash64(lanes[1].bytes, bundle->n_bytes, 0) != bundle->leaf)
        status = mth_error_set(err, MTH_ERR_CHECKSUM,
                               "the bundle at byte %llu restores to other bytes the second time; nothing was "
                               "written",
                               (unsigned long long)bundle->offset);
    return status;
}
