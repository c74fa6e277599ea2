/*
 * The index of a sharded model, as Hugging Face's libraries write it: {"metadata": {...}, "weight_map": {NAME: FILE}}.
 */
#ifndef MTH_FORMATS_SHARD_INDEX_H
#define MTH_FORMATS_SHARD_INDEX_H

#include "formats/region_map.h"

enum { MTH_SHARD_INDEX_MAX_BYTES = 100000000 };

struct mth_shard {
    uint32_t name;         /* in the index's text */
    uint32_t first_weight; /* a list by mth_shard_weight.next */
};

struct mth_shard_weight {
    uint32_t name; /* in the index's text */
    uint32_t next; /* weight number + 1, 0 for none */
};

struct mth_shard_index {
    struct mth_memory *memory;
    const char *name;         /* of its file, for messages; borrowed */
    struct mth_shard *shards; /* by name, each once */
    size_t n_shards;
    struct mth_shard_weight *weights;
    size_t n_weights;
    char *text; /* NUL-terminated strings */
};

/*
 * Read an index.
 *
 * Errors    MTH_ERR_FORMAT (not JSON, no weight_map, a weight twice, a file that is no plain name beside the index, no
 *           shard at all), MTH_ERR_LIMIT for more than MTH_SHARD_INDEX_MAX_BYTES, MTH_ERR_NO_MEMORY, those of reading;
 *           then there is nothing to free
 * Cost      one pass as a stream, a sort of the names; its names and 24 bytes a weight, 0.3 MiB beside
 * Source    github.com/huggingface/huggingface_hub, serialization of state dicts; the files it wrote
 */
int mth_shard_index_read(const struct mth_source *source, struct mth_memory *memory,
                         struct mth_shard_index *index, struct mth_error *err);
void mth_shard_index_free(struct mth_shard_index *index);

static inline const char *mth_shard_name(const struct mth_shard_index *index, size_t shard)
{
    return index->text + index->shards[shard].name;
}

/*
 * Compare a shard with what the index says is in it.
 *
 * Shape     map: of the shard; *n_unlisted: its tensors that the index does not place there
 * Errors    MTH_ERR_FORMAT for a weight that is not in it, MTH_ERR_NO_MEMORY
 */
int mth_shard_index_check(const struct mth_shard_index *index, size_t shard, const struct mth_region_map *map,
                          size_t *n_unlisted, struct mth_error *err);

#endif
