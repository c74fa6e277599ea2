/* Models: tables that streams share; see codec.h for the contracts and spec.md for the bytes. */
#include "codecs/rans/rans_stream.h"

#include "base/checked.h"

#include <string.h>

struct counts {
    uint64_t n[256];
};

/* Streams are sampled at different rates; each weighs as many bytes as it has. */
static void count(const int64_t *options, const struct mth_bytes *stream, const struct mth_context *context,
                  void *opaque)
{
    struct counts *counts = opaque;
    struct mth_rans_counts sample;
    (void)context;
    if (stream->n_bytes == 0)
        return;
    mth_rans_sample(stream->data, stream->n_bytes, options[MTH_RANS_OPTION_AIM] == MTH_RANS_AIM_SIZE,
                    &sample);
    uint64_t weight = stream->n_bytes / sample.n_counted;
    for (size_t v = 0; v < 256; v++)
        counts->n[v] += sample.n[v] * weight;
}

static void merge(void *into, const void *from)
{
    struct counts *a = into;
    const struct counts *b = from;
    for (size_t v = 0; v < 256; v++)
        a->n[v] += b->n[v];
}

/* Halve counts until they are few enough; what occurs stays. */
static void scale_down(const struct counts *counts, struct mth_rans_counts *out)
{
    unsigned shift = 0;
    for (;; shift++) {
        uint64_t total = 0;
        for (size_t v = 0; v < 256; v++)
            total += (counts->n[v] >> shift) + (counts->n[v] != 0);
        if (total <= MTH_RANS_MAX_SAMPLE)
            break;
    }
    out->exact = false;
    out->n_counted = 0;
    for (size_t v = 0; v < 256; v++) {
        out->n[v] = (uint32_t)(counts->n[v] >> shift) + (shift && counts->n[v]);
        out->n_counted += out->n[v];
    }
}

static int build(const int64_t *options, const void *opaque, void *opaque_model)
{
    struct mth_rans_model *model = opaque_model;
    struct mth_rans_counts counts;
    uint64_t estimate;
    enum { TYPICAL_STREAM_BYTES = 1 << 16 };
    scale_down(opaque, &counts);
    if (counts.n_counted == 0)
        return MTH_ERR_UNSUPPORTED;
    mth_rans_choose_table(&counts, TYPICAL_STREAM_BYTES, options[MTH_RANS_OPTION_AIM] == MTH_RANS_AIM_SIZE,
                          model, &estimate);
    if (model->mode == MTH_RANS_RAW)
        return MTH_ERR_UNSUPPORTED;
    if (model->mode == MTH_RANS_WIDE) {
        mth_rans_wide_prepare_encoder(&model->wide);
        mth_rans_wide_prepare_decoder(&model->wide);
    }
    return MTH_OK;
}

static int write(const void *opaque, struct mth_buffer *out)
{
    const struct mth_rans_model *model = opaque;
    uint8_t wire[1 + MTH_RANS_WIDE_TABLE_BYTES];
    wire[0] = (uint8_t)model->mode;
    size_t n = 1 + (model->mode == MTH_RANS_NARROW ? mth_rans_narrow_write(&model->narrow, wire + 1)
                                                   : mth_rans_wide_write(&model->wide, wire + 1));
    if (n > out->capacity_bytes)
        return MTH_ERR_CAPACITY;
    memcpy(out->data, wire, n);
    out->n_bytes = n;
    return MTH_OK;
}

static int read(const int64_t *options, struct mth_bytes wire, void *opaque)
{
    struct mth_rans_model *model = opaque;
    (void)options;
    if (wire.n_bytes == 0)
        return MTH_ERR_CORRUPT;
    unsigned mode = *wire.data++;
    wire.n_bytes--;
    int status = MTH_ERR_CORRUPT;
    model->mode = mode;
    if (mode == MTH_RANS_NARROW)
        status = mth_rans_narrow_read(&wire, &model->narrow);
    else if (mode == MTH_RANS_WIDE)
        status = mth_rans_wide_read(&wire, &model->wide);
    if (status || wire.n_bytes)
        return MTH_ERR_CORRUPT;
    if (mode == MTH_RANS_WIDE) {
        mth_rans_wide_prepare_encoder(&model->wide);
        mth_rans_wide_prepare_decoder(&model->wide);
    }
    return MTH_OK;
}

const struct mth_model_ops mth_rans_models = {
    .counts_bytes = sizeof(struct counts),
    .model_bytes = sizeof(struct mth_rans_model),
    .wire_bound = 1 + MTH_RANS_WIDE_TABLE_BYTES,
    .count = count,
    .merge = merge,
    .build = build,
    .write = write,
    .read = read,
};
