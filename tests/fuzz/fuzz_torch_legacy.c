/*
 * Fuzz target: any bytes as what PyTorch wrote before 1.6.
 *
 * Whatever they are, mapping ends with a map that holds its promises or with a line, and nothing stays allocated.
 */
#include "formats/region_map.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct mth_format mth_format_torch_legacy;

static void must(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_region_map map;
    struct mth_error err = {0};
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    must(memory != NULL);
    mth_source_memory("fuzz.pt", (struct mth_bytes){data, size}, &source);
    mth_region_map_init(&map, memory, "fuzz", size);
    int status = mth_format_torch_legacy.map(&source, &options, &map, &err);
    must(status != MTH_OK || mth_region_map_check(&map) == MTH_OK);
    must(status == MTH_OK || (status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0'));
    mth_region_map_free(&map);
    must(mth_memory_current(memory) == 0);
    mth_memory_destroy(memory);
    return 0;
}
