/* Mapping bytes in memory as a checkpoint file; see map_bytes.h. */
#include "tests/support/map_bytes.h"

#include "tests/support/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int holds, const char *what, const struct mapped *mapped)
{
    if (holds)
        return;
    fprintf(stderr, "map_bytes: %s (%s: %s)\n", what, mth_status_name(mapped->status), mapped->err.text);
    abort();
}

void map_bytes_with(struct mapped *mapped, const char *name, const void *bytes, size_t n_bytes,
                    enum mth_dtype raw_dtype, size_t limit_bytes)
{
    *mapped = (struct mapped){.memory = mth_memory_create(limit_bytes)};
    must(mapped->memory != NULL, "no memory", mapped);
    uint8_t *copy = guard_alloc(n_bytes);
    if (n_bytes)
        memcpy(copy, bytes, n_bytes);
    struct mth_source source;
    mth_source_memory(name, (struct mth_bytes){copy, n_bytes}, &source);
    const struct mth_format_options options = {.raw_dtype = raw_dtype};
    mapped->status = mth_format_map(&source, &options, mapped->memory, &mapped->map, &mapped->err);
    guard_free(copy, n_bytes);
    if (mapped->status == MTH_OK) {
        must(mth_region_map_check(&mapped->map) == MTH_OK, "the map does not hold what it promises", mapped);
        return;
    }
    must(mapped->status < 0 && mapped->status != MTH_ERR_INTERNAL, "a bug shows as a status", mapped);
    must(mapped->err.status == mapped->status, "the line has another status", mapped);
    must(strncmp(mapped->err.text, name, strlen(name)) == 0, "the line does not name the file", mapped);
    must(strpbrk(mapped->err.text, "\n\r\033") == NULL, "the line is no line", mapped);
    must(mth_memory_current(mapped->memory) == 0, "a failure holds memory", mapped);
}

void map_bytes(struct mapped *mapped, const char *name, const void *bytes, size_t n_bytes)
{
    map_bytes_with(mapped, name, bytes, n_bytes, MTH_N_DTYPES, 0);
}

void unmap(struct mapped *mapped)
{
    if (mapped->status == MTH_OK)
        mth_region_map_free(&mapped->map);
    must(mth_memory_current(mapped->memory) == 0, "a freed map holds memory", mapped);
    mth_memory_destroy(mapped->memory);
}
