/* Guards: which tensors a candidate of a spec is for; see pipeline.h and docs/spec.md. */
#include "pipeline/pipeline.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

int mth_guard_parse(const char *text, size_t n_text, struct mth_spec_guard *guard)
{
    *guard = (struct mth_spec_guard){MTH_N_DTYPES, MTH_N_CLASSES};
    while (n_text > 0) {
        const char *dot = memchr(text, '.', n_text);
        size_t n = dot ? (size_t)(dot - text) : n_text;
        enum mth_tensor_class class_ = mth_tensor_class_find(text, n);
        enum mth_dtype dtype = mth_dtype_find(text, n);
        if (class_ != MTH_N_CLASSES && guard->class_ == MTH_N_CLASSES)
            guard->class_ = (uint8_t)class_;
        else if (dtype != MTH_N_DTYPES && guard->dtype == MTH_N_DTYPES && guard->class_ == MTH_N_CLASSES)
            guard->dtype = (uint8_t)dtype;
        else
            return MTH_ERR_SPEC;
        text += n + (dot != NULL);
        n_text -= n + (dot != NULL);
        if (dot && n_text == 0)
            return MTH_ERR_SPEC;
    }
    return mth_guard_is_open(guard) ? MTH_ERR_SPEC : MTH_OK;
}

void mth_guard_print(const struct mth_spec_guard *guard, char out[MTH_GUARD_TEXT_BYTES])
{
    out[0] = '\0';
    if (mth_guard_is_open(guard))
        return;
    bool dtype = guard->dtype != MTH_N_DTYPES, class_ = guard->class_ != MTH_N_CLASSES;
    snprintf(out, MTH_GUARD_TEXT_BYTES,
             "%s%s%s=", dtype ? mth_dtype_info((enum mth_dtype)guard->dtype)->name : "",
             dtype && class_ ? "." : "",
             class_ ? mth_tensor_class_name((enum mth_tensor_class)guard->class_) : "");
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

bool mth_pipeline_is_guarded(const struct mth_pipeline *pipeline)
{
    for (; pipeline; pipeline = pipeline->next) {
        if (!mth_guard_is_open(&pipeline->guard))
            return true;
    }
    return false;
}

void mth_pipeline_guards(const struct mth_pipeline *pipeline,
                         struct mth_spec_guard guards[MTH_MAX_CANDIDATES])
{
    for (size_t i = 0; i < MTH_MAX_CANDIDATES; i++) {
        guards[i] = pipeline ? pipeline->guard : (struct mth_spec_guard){MTH_N_DTYPES, MTH_N_CLASSES};
        pipeline = pipeline ? pipeline->next : NULL;
    }
}
