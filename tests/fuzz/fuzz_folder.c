/*
 * Fuzz target: any bytes as a folder that is one file.
 *
 * Whatever they are, reading ends with a list that holds its promises or with a line, mapping with a sound map or a line, and
 * nothing stays allocated.
 */
#include "formats/folder.h"
#include "formats/region_map.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* Names ascend and stay below the folder; files lie one behind the other; the same list is written again. */
static void check(struct mth_memory *memory, const struct mth_folder *folder, const uint8_t *data,
                  size_t size)
{
    struct mth_folder again;
    struct mth_buffer head;
    uint64_t at = folder->n_head;
    mth_folder_init(&again, memory);
    for (size_t i = 0; i < folder->n_entries; i++) {
        const char *name = mth_folder_name(folder, i);
        must(name[0] != '/' && name[0] != '\0' && !strstr(name, "//") && !strstr(name, "/../") &&
             strncmp(name, "../", 3) != 0 && strcmp(name, "..") != 0);
        must(i == 0 || strcmp(mth_folder_name(folder, i - 1), name) < 0);
        must(folder->entries[i].begin == at);
        must(folder->entries[i].n_bytes == 0 || !mth_folder_is_directory(folder, i));
        at += folder->entries[i].n_bytes;
        must(mth_folder_add(&again, name, folder->entries[i].n_bytes) == MTH_OK);
    }
    must(at == folder->n_content && folder->n_bytes == size);
    must(mth_folder_write_head(&again, &head) == MTH_OK);
    must(head.n_bytes == folder->n_head && memcmp(head.data, data, head.n_bytes) == 0);
    mth_memory_free(memory, head.data);
    mth_folder_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_memory *memory = mth_memory_create(0);
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    struct mth_source source;
    struct mth_folder folder;
    struct mth_region_map map;
    struct mth_error err = {0};
    must(memory != NULL);
    mth_source_memory("fuzz", (struct mth_bytes){data, size}, &source);
    int status = mth_folder_read(&source, memory, &folder, &err);
    must(status == MTH_OK || (status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0'));
    if (status == MTH_OK) {
        check(memory, &folder, data, size);
        mth_folder_free(&folder);
        status = mth_format_map(&source, &options, memory, &map, &err);
        must(status != MTH_ERR_INTERNAL);
        if (status == MTH_OK)
            mth_region_map_free(&map);
    }
    must(mth_memory_current(memory) == 0);
    mth_memory_destroy(memory);
    return 0;
}
