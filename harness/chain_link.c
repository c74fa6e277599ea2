/* Looking at the containers of a chain; see chain_link.h. */
#include "harness/chain_link.h"

#include "harness/opened.h"

#include <string.h>

int mth_chain_link_look(const struct mth_chain *chain, const char *directory, size_t index,
                        struct mth_error *err)
{
    const struct mth_chain_step *step = &chain->steps[index];
    struct mth_opened opened = {0};
    struct mth_container_info info = {0};
    char *path = mth_chain_step_path(chain, directory, step);
    if (!path)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a path");
    int status = mth_opened_open(&opened, path, 1, chain->memory, err);
    if (!status && !opened.container)
        status = mth_error_set(err, MTH_ERR_FORMAT, "%s: is no container", path);
    if (!status)
        mth_container_describe(opened.container, &info);
    if (!status && (memcmp(info.digest, step->digest, sizeof step->digest) != 0 ||
                    info.stored_bytes != step->stored_bytes))
        status = mth_error_set(err, MTH_ERR_CHECKSUM, "%s: is another container than the one that was added",
                               path);
    mth_opened_close(&opened);
    mth_memory_free(chain->memory, path);
    return status;
}

static int check_one(const struct mth_chain *chain, const char *directory, const struct mth_chain_step *step,
                     struct mth_error *err)
{
    struct mth_source file;
    char *path = mth_chain_step_path(chain, directory, step);
    int status = path ? mth_source_open(path, &file, err)
                      : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a path");
    if (!status) {
        mth_source_close(&file);
        if (file.n_bytes != step->stored_bytes)
            status = mth_error_set(err, MTH_ERR_CORRUPT, "%s: has %llu bytes, the chain says %llu", path,
                                   (unsigned long long)file.n_bytes, (unsigned long long)step->stored_bytes);
    }
    mth_memory_free(chain->memory, path);
    return status;
}

int mth_chain_link_check(const struct mth_chain *chain, const char *directory, size_t index,
                         struct mth_error *err)
{
    int status = MTH_OK;
    for (; !status && index < chain->n_steps; index = mth_chain_base_of(chain, index))
        status = check_one(chain, directory, &chain->steps[index], err);
    return status;
}
