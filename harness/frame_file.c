/* Frames in files; see frame_file.h. */
#include "harness/frame_file.h"

#include "pipeline/frame.h"

#include <string.h>

bool mth_frame_file_claims(struct mth_bytes file)
{
    uint8_t head[MTH_FRAME_HEAD_BYTES];
    mth_frame_put_head(head);
    return file.n_bytes >= 4 && memcmp(file.data, head, 4) == 0;
}

/* Behind the head's fields stand the logarithm of the chunk size, and the specs. */
static bool read_specs(struct mth_reader *index, struct mth_frame_file *out)
{
    uint64_t n_specs, n_text;
    if (index->at == index->end || *index->at >= 8 * sizeof out->chunk_bytes)
        return false;
    out->chunk_bytes = (size_t)1 << *index->at++;
    if (!mth_varint_get(index, &n_specs) || n_specs > MTH_N_PLAN_SPECS)
        return false;
    for (; out->n_specs < n_specs; out->n_specs++) {
        if (!mth_varint_get(index, &n_text) || n_text > (uint64_t)(index->end - index->at))
            return false;
        out->specs[out->n_specs] = (struct mth_bytes){index->at, (size_t)n_text};
        index->at += n_text;
    }
    return true;
}

int mth_frame_file_read(const char *name, struct mth_bytes file, struct mth_frame_file *out,
                        struct mth_error *err)
{
    struct mth_frame_head head;
    struct mth_reader index;
    struct mth_bytes payloads;
    struct mth_error inner;
    *out = (struct mth_frame_file){0};
    int status = mth_frame_info(file, &out->info, &inner);
    if (!status)
        status = mth_frame_open(file, &head, &index, &payloads, &inner);
    if (status)
        return mth_error_set(err, status, "%s: %s", name, inner.text);
    if (!read_specs(&index, out))
        return mth_error_set(err, MTH_ERR_CORRUPT, "%s: the frame's index is damaged", name);
    return MTH_OK;
}
