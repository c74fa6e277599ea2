/* The registry of transforms; see transform_registry.h. */
#include "transforms/transform_registry.h"

#include <string.h>

enum { MTH_MAX_PLUGIN_TRANSFORMS = 32 };

#define MTH_TRANSFORM(name) extern const struct mth_transform mth_transform_##name;
#include "transforms/transforms.def"
#undef MTH_TRANSFORM

#define MTH_TRANSFORM(name) &mth_transform_##name,
static const struct mth_transform *const builtin[] = {
#include "transforms/transforms.def"
};
#undef MTH_TRANSFORM

enum { N_BUILTIN = sizeof builtin / sizeof builtin[0] };

static const struct mth_transform *plugins[MTH_MAX_PLUGIN_TRANSFORMS];
static size_t n_plugins;

const struct mth_transform *mth_transform_at(size_t index)
{
    if (index < N_BUILTIN)
        return builtin[index];
    index -= N_BUILTIN;
    return index < n_plugins ? plugins[index] : NULL;
}

const struct mth_transform *mth_transform_find(const char *name, size_t n_name)
{
    const struct mth_transform *transform;
    for (size_t i = 0; (transform = mth_transform_at(i)) != NULL; i++) {
        if (strlen(transform->name) == n_name && memcmp(transform->name, name, n_name) == 0)
            return transform;
    }
    return NULL;
}

int mth_transform_register(const struct mth_transform *transform, struct mth_error *err)
{
    if (transform->abi != MTH_TRANSFORM_ABI)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "a plug-in transform has interface %u, this mithril speaks %d",
                             (unsigned)transform->abi, MTH_TRANSFORM_ABI);
    if (!transform->name || !transform->summary || transform->n_options > MTH_MAX_OPTIONS ||
        transform->n_references > MTH_MAX_REFERENCES || transform->max_streams == 0 ||
        transform->max_streams > MTH_MAX_STREAMS || !transform->plan || !transform->forward ||
        !transform->inverse)
        return mth_error_set(err, MTH_ERR_USAGE, "plug-in transform %s is not as transform.h says",
                             transform->name ? transform->name : "without a name");
    if (mth_transform_find(transform->name, strlen(transform->name)))
        return mth_error_set(err, MTH_ERR_USAGE, "there already is a transform named %s", transform->name);
    if (n_plugins == MTH_MAX_PLUGIN_TRANSFORMS)
        return mth_error_set(err, MTH_ERR_LIMIT, "no room for transform %s", transform->name);
    plugins[n_plugins++] = transform;
    return MTH_OK;
}
