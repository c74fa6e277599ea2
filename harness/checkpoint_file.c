/* Loading checkpoint files; see checkpoint_file.h. */
#include "harness/checkpoint_file.h"

#include "base/checked.h"
#include "base/file.h"
#include "formats/folder.h"
#include "harness/opened.h"
#include "harness/set_plan.h"

/* All of a checkpoint's bytes in one allocation. */
static int read_all(const struct mth_opened *opened, struct mth_buffer *bytes, struct mth_error *err)
{
    size_t n_bytes;
    if (!mth_u64_to_size(opened->source.n_bytes, &n_bytes))
        return mth_error_set(err, MTH_ERR_OVERFLOW, "%s: too large for this machine", opened->path);
    *bytes = (struct mth_buffer){.n_bytes = n_bytes, .capacity_bytes = n_bytes};
    bytes->data = mth_memory_alloc(opened->memory, n_bytes);
    if (!bytes->data)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its %zu bytes", opened->path,
                             n_bytes);
    int status = mth_source_read(&opened->source, 0, bytes->data, n_bytes, err);
    if (status) {
        mth_memory_free(opened->memory, bytes->data);
        *bytes = (struct mth_buffer){0};
    }
    return status;
}

int mth_loaded_take(struct mth_opened *opened, enum mth_dtype raw_dtype, struct mth_loaded *loaded,
                    struct mth_error *err)
{
    struct mth_buffer bytes = {0};
    *loaded = (struct mth_loaded){0};
    int status = read_all(opened, &bytes, err);
    if (status)
        return status;
    /* One file is mapped from memory: what was read and what is mapped are then the same bytes. */
    struct mth_source source = opened->source;
    if (!opened->set)
        mth_source_memory(source.name, (struct mth_bytes){bytes.data, bytes.n_bytes}, &opened->source);
    status = mth_opened_map(opened, raw_dtype, err);
    opened->source = source;
    if (status) {
        mth_memory_free(opened->memory, bytes.data);
        return status;
    }
    *loaded = (struct mth_loaded){.bytes = bytes, .memory = opened->memory, .map = opened->map};
    loaded->checkpoint = (struct mth_checkpoint){.data = bytes.data, .map = &loaded->map};
    opened->has_map = false;
    opened->base.map = NULL;
    return MTH_OK;
}

int mth_loaded_open(const char *path, enum mth_dtype raw_dtype, struct mth_memory *memory,
                    struct mth_loaded *loaded, struct mth_error *err)
{
    struct mth_opened opened;
    struct mth_set_plan plan;
    *loaded = (struct mth_loaded){0};
    int status = mth_set_plan_find(path, &plan, err);
    if (status)
        return status;
    bool is_file = plan.kind == MTH_SET_NONE && !mth_path_is_directory(path);
    mth_set_plan_free(&plan);
    status = is_file ? mth_opened_open_file(&opened, path, memory, err)
                     : mth_opened_open_any(&opened, path, 1, memory, err);
    if (!status)
        status = mth_loaded_take(&opened, raw_dtype, loaded, err);
    mth_opened_close(&opened);
    return status;
}

static int count_files(struct mth_loaded *loaded, struct mth_error *err)
{
    struct mth_source source;
    struct mth_folder folder;
    bool is_folder;
    mth_source_memory("the directory", mth_loaded_bytes(loaded), &source);
    int status = mth_folder_is(&source, &is_folder, err);
    if (!status && is_folder)
        status = mth_folder_read(&source, loaded->memory, &folder, err);
    if (status || !is_folder)
        return status;
    for (size_t i = 0; i < folder.n_entries; i++)
        loaded->n_files += !mth_folder_is_directory(&folder, i);
    mth_folder_free(&folder);
    return MTH_OK;
}

int mth_loaded_open_whole(const char *path, bool as_base, struct mth_memory *memory,
                          struct mth_loaded *loaded, struct mth_error *err)
{
    struct mth_opened opened = {0};
    bool found = false;
    *loaded = (struct mth_loaded){0};
    if (!mth_path_is_directory(path))
        return mth_loaded_open(path, MTH_N_DTYPES, memory, loaded, err);
    int status = mth_opened_open_whole(&opened, path, 1, memory, &found, err);
    if (!found)
        status = as_base ? mth_opened_open_base(&opened, path, 1, memory, err)
                         : mth_opened_open_step(&opened, path, memory, err);
    if (!status)
        status = mth_loaded_take(&opened, MTH_N_DTYPES, loaded, err);
    mth_opened_close(&opened);
    if (!status && count_files(loaded, err)) {
        status = err->status;
        mth_loaded_close(loaded);
    }
    return status ? mth_opened_blame(path, err) : MTH_OK;
}

void mth_loaded_close(struct mth_loaded *loaded)
{
    if (!loaded->memory)
        return;
    mth_region_map_free(&loaded->map);
    mth_memory_free(loaded->memory, loaded->bytes.data);
    *loaded = (struct mth_loaded){0};
}
