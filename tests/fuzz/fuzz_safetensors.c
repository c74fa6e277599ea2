/*
 * Fuzz target: any bytes as a safetensors file.
 *
 * Whatever they are, mapping ends with a map that holds its promises or with a line; nothing stays allocated; and
 * each region of a map is paired with itself when the file is its own base.
 */
#include "formats/region_match.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

static void match_itself(const struct mth_region_map *map)
{
    uint64_t *offsets = mth_memory_alloc(map->memory, map->n_regions * sizeof *offsets);
    must(offsets != NULL);
    must(mth_region_match(map, map, offsets) == MTH_OK);
    for (size_t i = 0; i < map->n_regions; i++)
        must(offsets[i] == (i == 0 ? MTH_NO_MATCH : map->regions[i].offset));
    mth_memory_free(map->memory, offsets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_memory *memory = mth_memory_create(0);
    must(memory != NULL);
    struct mth_source source;
    mth_source_memory("fuzz.safetensors", (struct mth_bytes){data, size}, &source);
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    struct mth_region_map map;
    struct mth_error err = {0};
    int status = mth_format_map(&source, &options, memory, &map, &err);
    if (status == MTH_OK) {
        must(mth_region_map_check(&map) == MTH_OK);
        must(strcmp(map.format, "safetensors") == 0);
        match_itself(&map);
        mth_region_map_free(&map);
    } else {
        must(status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0');
    }
    must(mth_memory_current(memory) == 0);
    mth_memory_destroy(memory);
    return 0;
}
