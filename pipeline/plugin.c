/* Loading of codecs and transforms from shared objects. */
#include "pipeline/mithril.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int mth_plugin_load(const char *path, struct mth_error *err)
{
    /* A bare name means a file here, not one on the loader's path. */
    char file[4096];
    if (snprintf(file, sizeof file, "%s%s", strchr(path, '/') ? "" : "./", path) >= (int)sizeof file)
        return mth_error_set(err, MTH_ERR_USAGE, "the path of a plug-in is too long");
    /* RTLD_LOCAL: two plug-ins may use the same names inside. */
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "cannot load plug-in: %s", dlerror());
    const struct mth_plugin *plugin = dlsym(handle, "mth_plugin");
    int status = MTH_OK;
    if (!plugin)
        status = mth_error_set(err, MTH_ERR_USAGE, "%s: exports no mth_plugin", path);
    else if (plugin->abi != MTH_PLUGIN_ABI)
        status = mth_error_set(err, MTH_ERR_USAGE, "%s: plug-in interface %u, this mithril speaks %d", path,
                               (unsigned)plugin->abi, MTH_PLUGIN_ABI);
    if (status) {
        dlclose(handle);
        return status;
    }
    /* From the first registration on the object stays: a later failure must not unload what is in the tables.
     */
    for (size_t i = 0; !status && i < plugin->n_codecs; i++)
        status = mth_codec_register(plugin->codecs[i], err);
    for (size_t i = 0; !status && i < plugin->n_transforms; i++)
        status = mth_transform_register(plugin->transforms[i], err);
    return status;
}
