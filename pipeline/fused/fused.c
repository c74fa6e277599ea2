/* Which patterns have a fused path; see fused.h. */
#include "pipeline/fused/fused.h"

extern const struct mth_transform mth_transform_exponent_split;
extern const struct mth_codec mth_codec_rans, mth_codec_store, mth_codec_tiers;

static const struct {
    const struct mth_transform *transform;
    const struct mth_codec *streams[2];
    const struct mth_fused *fused;
} patterns[] = {
    {&mth_transform_exponent_split, {&mth_codec_rans, &mth_codec_store}, &mth_fused_exponent_rans},
    {&mth_transform_exponent_split, {&mth_codec_tiers, &mth_codec_store}, &mth_fused_exponent_tiers},
};

const struct mth_fused *mth_fused_find(const struct mth_pipeline *pipeline, const struct mth_node *node)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        if (node->transform == patterns[i].transform && node->n_children > 1 &&
            mth_node_child(pipeline, node, 0)->codec == patterns[i].streams[0] &&
            mth_node_child(pipeline, node, 1)->codec == patterns[i].streams[1])
            return patterns[i].fused;
    }
    return NULL;
}
