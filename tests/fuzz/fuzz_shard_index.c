/*
 * Fuzz target: any bytes as the index of a sharded model.
 *
 * Whatever they are, reading ends with an index that holds its promises or with a line, and nothing stays allocated.
 */
#include "formats/file_set.h"
#include "formats/shard_index.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* Shards are plain names in order, each once; each weight is in the list of one of them. */
static void check(const struct mth_shard_index *index)
{
    size_t n_weights = 0;
    must(index->n_shards > 0 && index->n_shards <= index->n_weights);
    for (size_t i = 0; i < index->n_shards; i++) {
        const char *name = mth_shard_name(index, i);
        must(mth_set_name_is_plain(name, strlen(name)));
        must(i == 0 || strcmp(mth_shard_name(index, i - 1), name) < 0);
        must(index->shards[i].first_weight != 0);
        for (uint32_t w = index->shards[i].first_weight; w != 0; w = index->weights[w - 1].next) {
            must(w <= index->n_weights);
            n_weights++;
        }
    }
    must(n_weights == index->n_weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_shard_index index;
    struct mth_region_map map;
    struct mth_error err = {0};
    size_t n_unlisted;
    must(memory != NULL);
    mth_source_memory("fuzz.index.json", (struct mth_bytes){data, size}, &source);
    int status = mth_shard_index_read(&source, memory, &index, &err);
    must(status == MTH_OK || (status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0'));
    if (status == MTH_OK) {
        check(&index);
        /* A shard without tensors lacks the weights that the index places there. */
        mth_region_map_init(&map, memory, "fuzz", 0);
        must(mth_shard_index_check(&index, 0, &map, &n_unlisted, &err) == MTH_ERR_FORMAT);
        mth_shard_index_free(&index);
    }
    must(mth_memory_current(memory) == 0);
    mth_memory_destroy(memory);
    return 0;
}
