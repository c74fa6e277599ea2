/* Presets: named specs. A preset is listed once the codecs it needs exist. */
#include "pipeline/mithril.h"

#include <string.h>

static const struct mth_preset presets[] = {
    {
        .name = "seed",
        .summary = "byte grouping and zstd level 3; against a base, the xor first",
        .source = "the grouping of ZipNN (Hershcovitch et al., 2024) and LMC before a general compressor",
        .spec = "byte-group+zstd:level=3",
        .delta = "delta-xor+byte-group+zstd:level=3",
    },
    {
        .name = "balanced",
        .summary = "exponents coded, signs and mantissas kept; against a base, the difference in ULPs",
        .source = NULL,
        .spec = "exponent-split+zstd:level=3/store",
        .delta = "delta-ulp+byte-group+zstd:level=3",
    },
};

const struct mth_preset *mth_preset_at(size_t index)
{
    return index < sizeof presets / sizeof presets[0] ? &presets[index] : NULL;
}

const struct mth_preset *mth_preset_find(const char *name, size_t n_name)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strlen(presets[i].name) == n_name && memcmp(presets[i].name, name, n_name) == 0)
            return &presets[i];
    }
    return NULL;
}
