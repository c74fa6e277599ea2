/*
 * Fuzz target: any bytes as the metadata of torch.distributed.checkpoint and a file that it tells of.
 *
 * The first four bytes say how many of those behind them are the metadata; the rest is the file. The file is mapped with the
 * metadata, where that is any, and without: each time there is a map that holds its promises or a line, and nothing stays
 * allocated.
 */
#include "base/checked.h"
#include "formats/dcp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* Items are in the order of their files, and of their places there. */
static void check(const struct mth_dcp *dcp)
{
    size_t n_items = 0;
    for (size_t i = 0; i < dcp->n_files; i++) {
        const struct mth_dcp_file *file = &dcp->files[i];
        must(i == 0 || strcmp(mth_dcp_file_name(dcp, i - 1), mth_dcp_file_name(dcp, i)) < 0);
        must(mth_dcp_find(dcp, mth_dcp_file_name(dcp, i)) == file);
        must(file->first_item == n_items && file->n_items > 0);
        for (size_t j = n_items; j < n_items + file->n_items; j++) {
            const struct mth_dcp_item *item = &dcp->items[j];
            must(item->file == i && item->n_dims <= MTH_MAX_DIMS &&
                 item->place + item->n_dims <= dcp->n_dims);
            must(j == n_items || item[-1].offset <= item->offset);
        }
        n_items += file->n_items;
    }
    must(n_items == dcp->n_items);
}

static void map_file(const struct mth_source *source, const struct mth_dcp *dcp, struct mth_memory *memory)
{
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES, .dcp = dcp};
    struct mth_region_map map;
    struct mth_error err = {0};
    int status = mth_format_map(source, &options, memory, &map, &err);
    must(status != MTH_OK || mth_region_map_check(&map) == MTH_OK);
    must(status == MTH_OK || (status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0'));
    if (status == MTH_OK)
        mth_region_map_free(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_source metadata, source;
    struct mth_dcp dcp;
    struct mth_error err = {0};
    if (size < 4)
        return 0;
    struct mth_memory *memory = mth_memory_create(0);
    must(memory != NULL);
    size_t n_metadata = mth_size_min(mth_load32(data), size - 4);
    mth_source_memory(".metadata", (struct mth_bytes){data + 4, n_metadata}, &metadata);
    mth_source_memory("__0_0.distcp", (struct mth_bytes){data + 4 + n_metadata, size - 4 - n_metadata},
                      &source);
    int status = mth_dcp_read(&metadata, memory, &dcp, &err);
    must(status == MTH_OK || (status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0'));
    if (status == MTH_OK) {
        check(&dcp);
        map_file(&source, &dcp, memory);
        mth_dcp_free(&dcp);
    }
    map_file(&source, NULL, memory);
    must(mth_memory_current(memory) == 0);
    mth_memory_destroy(memory);
    return 0;
}
