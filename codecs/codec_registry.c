/* The registry of codecs; see codec_registry.h. */
#include "codecs/codec_registry.h"

#include "config.h"

#include <string.h>

enum { MTH_MAX_PLUGIN_CODECS = 32 };

/* MTH_CODEC_IF(1, x) is MTH_CODEC(x), MTH_CODEC_IF(0, x) is nothing. */
#define MTH_CODEC_IF(condition, name)  MTH_CODEC_IF_(condition, name)
#define MTH_CODEC_IF_(condition, name) MTH_CODEC_IF_##condition(name)
#define MTH_CODEC_IF_0(name)
#define MTH_CODEC_IF_1(name) MTH_CODEC(name)

#define MTH_CODEC(name) extern const struct mth_codec mth_codec_##name;
#include "codecs/codecs.def"
#undef MTH_CODEC

#define MTH_CODEC(name) &mth_codec_##name,
static const struct mth_codec *const builtin[] = {
#include "codecs/codecs.def"
};
#undef MTH_CODEC

enum { N_BUILTIN = sizeof builtin / sizeof builtin[0] };

static const struct mth_codec *plugins[MTH_MAX_PLUGIN_CODECS];
static size_t n_plugins;

const struct mth_codec *mth_codec_at(size_t index)
{
    if (index < N_BUILTIN)
        return builtin[index];
    index -= N_BUILTIN;
    return index < n_plugins ? plugins[index] : NULL;
}

const struct mth_codec *mth_codec_find(const char *name, size_t n_name)
{
    const struct mth_codec *codec;
    for (size_t i = 0; (codec = mth_codec_at(i)) != NULL; i++) {
        if (strlen(codec->name) == n_name && memcmp(codec->name, name, n_name) == 0)
            return codec;
    }
    return NULL;
}

int mth_codec_register(const struct mth_codec *codec, struct mth_error *err)
{
    if (codec->abi != MTH_CODEC_ABI)
        return mth_error_set(err, MTH_ERR_USAGE, "a plug-in codec has interface %u, this mithril speaks %d",
                             (unsigned)codec->abi, MTH_CODEC_ABI);
    if (!codec->name || !codec->summary || codec->n_options > MTH_MAX_OPTIONS)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "a plug-in codec has no name, no summary or too many options");
    if (!(codec->flags & MTH_CODEC_IDENTITY) &&
        (!codec->bound || !codec->create || !codec->destroy || !codec->encode || !codec->decode))
        return mth_error_set(err, MTH_ERR_USAGE, "plug-in codec %s lacks one of its functions", codec->name);
    if (mth_codec_find(codec->name, strlen(codec->name)))
        return mth_error_set(err, MTH_ERR_USAGE, "there already is a codec named %s", codec->name);
    if (n_plugins == MTH_MAX_PLUGIN_CODECS)
        return mth_error_set(err, MTH_ERR_LIMIT, "no room for codec %s: %d come from plug-ins already",
                             codec->name, MTH_MAX_PLUGIN_CODECS);
    plugins[n_plugins++] = codec;
    return MTH_OK;
}
