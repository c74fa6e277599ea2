/* Loading checkpoint files; see checkpoint_file.h. */
#include "harness/checkpoint_file.h"

#include "base/file.h"

int mth_loaded_map(const char *name, struct mth_buffer bytes, enum mth_dtype raw_dtype,
                   struct mth_memory *memory, struct mth_loaded *loaded, struct mth_error *err)
{
    *loaded = (struct mth_loaded){.bytes = bytes, .memory = memory};
    struct mth_source source;
    /* Mapped from memory: what was read and what is mapped are then the same bytes. */
    mth_source_memory(name, (struct mth_bytes){bytes.data, bytes.n_bytes}, &source);
    struct mth_format_options options = {.raw_dtype = raw_dtype};
    int status = mth_format_map(&source, &options, memory, &loaded->map, err);
    if (status) {
        mth_memory_free(memory, bytes.data);
        *loaded = (struct mth_loaded){0};
        return status;
    }
    loaded->checkpoint = (struct mth_checkpoint){.data = bytes.data, .map = &loaded->map};
    return MTH_OK;
}

int mth_loaded_open(const char *path, enum mth_dtype raw_dtype, struct mth_memory *memory,
                    struct mth_loaded *loaded, struct mth_error *err)
{
    struct mth_buffer bytes;
    int status = mth_file_read_all(path, memory, &bytes, err);
    if (status)
        return status;
    return mth_loaded_map(path, bytes, raw_dtype, memory, loaded, err);
}

void mth_loaded_close(struct mth_loaded *loaded)
{
    if (!loaded->memory)
        return;
    mth_region_map_free(&loaded->map);
    mth_memory_free(loaded->memory, loaded->bytes.data);
    *loaded = (struct mth_loaded){0};
}
