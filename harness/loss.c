/* What lossy pipelines lost; see loss.h. */
#include "harness/loss.h"

#include <stdio.h>

const char *mth_loss_text(const struct mth_loss *loss, char out[MTH_LOSS_TEXT_BYTES])
{
    out[0] = '\0';
    if (loss->is_lossy)
        snprintf(out, MTH_LOSS_TEXT_BYTES,
                 ", LOSSY: values of tables moved by %.3g in the mean, %.3g at most, rows by %.3g (l2)",
                 mth_loss_mean_abs(loss), loss->max_abs, mth_loss_mean_l2(loss));
    return out;
}

void mth_loss_put(struct mth_json_writer *writer, const struct mth_loss *loss)
{
    mth_json_bool(writer, "lossy", loss->is_lossy);
    if (!loss->is_lossy)
        return;
    mth_json_begin_object(writer, "loss");
    mth_json_uint(writer, "n_elems", loss->n_elems);
    mth_json_uint(writer, "n_rows", loss->n_rows);
    mth_json_real(writer, "mean_abs_error", mth_loss_mean_abs(loss));
    mth_json_real(writer, "max_abs_error", loss->max_abs);
    mth_json_real(writer, "mean_row_l2_error", mth_loss_mean_l2(loss));
    mth_json_end(writer);
}

static bool is_lossy(const char *spec, bool has_base)
{
    struct mth_pipeline *pipeline;
    struct mth_error err;
    if (mth_pipeline_parse(spec, has_base, &pipeline, &err))
        return false;
    bool lossy = mth_pipeline_is_lossy(pipeline);
    mth_pipeline_destroy(pipeline);
    return lossy;
}

int mth_loss_check(const struct mth_options *options, struct mth_error *err)
{
    for (size_t i = 0; !options->lossy && i < options->pipelines.n_items; i++) {
        const char *spec = options->pipelines.items[i];
        if (is_lossy(spec, false) || is_lossy(spec, true))
            return mth_error_set(
                err, MTH_ERR_USAGE,
                "'%.200s' is lossy: what it restores differs from the original; --lossy allows it", spec);
    }
    return MTH_OK;
}
