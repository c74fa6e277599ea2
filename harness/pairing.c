/* Counts of tensors by what a base has of them; see pairing.h. */
#include "harness/pairing.h"

#include <inttypes.h>
#include <stdio.h>

const char *mth_pairing_text(const struct mth_paired *paired, char out[MTH_TEXT_BYTES])
{
    const struct {
        uint64_t n;
        const char *what;
    } parts[] = {
        {paired->n_renamed, "renamed"},     {paired->n_reshaped, "reshaped"}, {paired->n_resized, "resized"},
        {paired->n_converted, "converted"}, {paired->n_new, "new"},
    };
    size_t at = (size_t)snprintf(out, MTH_TEXT_BYTES, "%" PRIu64 " tensor%s as before", paired->n_same,
                                 paired->n_same == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && at < MTH_TEXT_BYTES; i++) {
        if (parts[i].n)
            at += (size_t)snprintf(out + at, MTH_TEXT_BYTES - at, ", %" PRIu64 " %s", parts[i].n,
                                   parts[i].what);
    }
    return out;
}

void mth_pairing_put(struct mth_json_writer *w, const char *key, const struct mth_paired *paired)
{
    if (!paired) {
        mth_json_null(w, key);
        return;
    }
    mth_json_begin_object(w, key);
    mth_json_uint(w, "n_same", paired->n_same);
    mth_json_uint(w, "n_renamed", paired->n_renamed);
    mth_json_uint(w, "n_reshaped", paired->n_reshaped);
    mth_json_uint(w, "n_resized", paired->n_resized);
    mth_json_uint(w, "n_converted", paired->n_converted);
    mth_json_uint(w, "n_new", paired->n_new);
    mth_json_end(w);
}
