/* A coder: threads, cached pipelines with their states, and the moving of scattered bytes. */
#include "pipeline/coder.h"

#include "base/checked.h"
#include "base/hash.h"
#include "pipeline/varint.h"

#include <string.h>

static bool is_chunk_size(size_t n_bytes)
{
    return n_bytes >= (size_t)1 << MTH_MIN_CHUNK_LOG2 && n_bytes <= (size_t)1 << MTH_MAX_CHUNK_LOG2 &&
           (n_bytes & (n_bytes - 1)) == 0;
}

int mth_coder_create(const struct mth_coder_config *config, struct mth_coder **out, struct mth_error *err)
{
    size_t chunk_bytes = config->chunk_bytes ? config->chunk_bytes : MTH_DEFAULT_CHUNK_BYTES;
    if (!is_chunk_size(chunk_bytes))
        return mth_error_set(err, MTH_ERR_USAGE,
                             "a chunk of %zu bytes: it must be a power of two, 4 KiB to 1 GiB", chunk_bytes);
    struct mth_coder *coder = mth_memory_calloc(config->memory, 1, sizeof *coder);
    if (!coder)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a coder");
    coder->memory = config->memory;
    coder->chunk_bytes = chunk_bytes;
    coder->n_threads = config->n_threads;
    mth_plan_init(&coder->plan, config->memory);
    int status = mth_pool_create(config->n_threads, &coder->pool);
    if (!status) {
        coder->workers = mth_memory_calloc(config->memory, config->n_threads, sizeof *coder->workers);
        status = coder->workers ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    for (size_t i = 0; !status && i < config->n_threads; i++) {
        coder->workers[i].chunk.memory = config->memory;
        mth_arena_init(&coder->workers[i].chunk.arena, config->memory);
    }
    if (status) {
        mth_coder_destroy(coder);
        return mth_error_set(err, status, "cannot start %zu threads: %s", config->n_threads,
                             mth_status_text(status));
    }
    *out = coder;
    return MTH_OK;
}

static void empty_cache(struct mth_coder *coder)
{
    for (size_t i = 0; i < coder->n_cached; i++) {
        struct mth_coder_spec *spec = &coder->cache[i];
        for (size_t t = 0; t < coder->n_threads; t++) {
            if (spec->encode)
                mth_stage_states_free(spec->pipeline, &spec->encode[t]);
            if (spec->decode)
                mth_stage_states_free(spec->pipeline, &spec->decode[t]);
        }
        mth_memory_free(coder->memory, spec->encode);
        mth_memory_free(coder->memory, spec->decode);
        mth_pipeline_destroy(spec->pipeline);
    }
    coder->n_cached = 0;
}

void mth_coder_destroy(struct mth_coder *coder)
{
    if (!coder)
        return;
    mth_coder_free_models(coder);
    empty_cache(coder);
    for (size_t i = 0; coder->workers && i < coder->n_threads; i++) {
        struct mth_coder_worker *worker = &coder->workers[i];
        mth_arena_free(&worker->chunk.arena);
        for (size_t b = 0; b < MTH_MAX_BATCH; b++) {
            mth_memory_free(coder->memory, worker->gathered[b]);
            mth_memory_free(coder->memory, worker->reference[b]);
        }
        mth_memory_free(coder->memory, worker->payload);
    }
    mth_memory_free(coder->memory, coder->workers);
    mth_memory_free(coder->memory, coder->index.data);
    mth_memory_free(coder->memory, coder->leaves);
    mth_plan_free(&coder->plan);
    mth_pool_destroy(coder->pool);
    mth_memory_free(coder->memory, coder);
}

void mth_coder_trim_cache(struct mth_coder *coder, size_t n)
{
    if (coder->n_cached + n > MTH_MAX_CACHED_SPECS)
        empty_cache(coder);
}

int mth_coder_take_spec(struct mth_coder *coder, const char *text, struct mth_coder_spec **out,
                        struct mth_error *err)
{
    struct mth_pipeline *pipeline;
    for (size_t i = 0; i < coder->n_cached; i++) {
        if (strcmp(coder->cache[i].pipeline->text, text) == 0) {
            *out = &coder->cache[i];
            return MTH_OK;
        }
    }
    int status = mth_pipeline_parse(text, false, &pipeline, err);
    if (status)
        return status;
    if (strcmp(pipeline->text, text) != 0) {
        mth_pipeline_destroy(pipeline);
        return mth_error_set(err, MTH_ERR_CORRUPT, "spec '%.120s' is not in canonical form", text);
    }
    struct mth_coder_spec *spec = &coder->cache[coder->n_cached];
    spec->pipeline = pipeline;
    spec->encode = mth_memory_calloc(coder->memory, coder->n_threads, sizeof *spec->encode);
    spec->decode = mth_memory_calloc(coder->memory, coder->n_threads, sizeof *spec->decode);
    coder->n_cached++; /* from here on empty_cache owns it */
    if (!spec->encode || !spec->decode)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the states of a pipeline");
    *out = spec;
    return MTH_OK;
}

/* Where bytes [offset, offset + n_bytes) of a unit begin in the file (or in the base) when one segment holds
 * them. */
static bool find_together(const struct mth_coder *coder, const struct mth_unit *unit, bool from_base,
                          uint64_t offset, size_t n_bytes, uint64_t *at)
{
    const struct mth_segment *segment = mth_plan_segment_at(&coder->plan, unit, offset);
    uint64_t inside = offset - segment->unit_offset;
    *at = (from_base ? segment->base_offset : segment->offset) + inside;
    return n_bytes <= segment->n_bytes - inside;
}

/* Moves a range of a unit between its scattered places and one flat buffer. */
static void move_scattered(const struct mth_coder *coder, const struct mth_unit *unit, bool from_base,
                           uint64_t offset, size_t n_bytes, const uint8_t *from, uint8_t *flat, uint8_t *to)
{
    const struct mth_segment *segment = mth_plan_segment_at(&coder->plan, unit, offset);
    while (n_bytes > 0) {
        uint64_t inside = offset - segment->unit_offset;
        uint64_t left = segment->n_bytes - inside;
        size_t n = left < n_bytes ? (size_t)left : n_bytes;
        uint64_t at = (from_base ? segment->base_offset : segment->offset) + inside;
        if (to)
            memcpy(to + at, flat, n);
        else
            memcpy(flat, from + at, n);
        flat += n;
        offset += n;
        n_bytes -= n;
        segment++;
    }
}

int mth_coder_gather(struct mth_coder *coder, const struct mth_unit *unit, const uint8_t *data,
                     bool from_base, uint64_t offset, size_t n_bytes, uint8_t **scratch,
                     size_t *scratch_capacity, struct mth_bytes *out)
{
    uint64_t at;
    if (find_together(coder, unit, from_base, offset, n_bytes, &at)) {
        *out = (struct mth_bytes){data + at, n_bytes};
        return MTH_OK;
    }
    int status = mth_array_reserve(coder->memory, scratch, scratch_capacity, n_bytes, 1);
    if (status)
        return status;
    move_scattered(coder, unit, from_base, offset, n_bytes, data, *scratch, NULL);
    *out = (struct mth_bytes){*scratch, n_bytes};
    return MTH_OK;
}

uint8_t *mth_coder_place(const struct mth_coder *coder, const struct mth_unit *unit, uint8_t *dst,
                         uint64_t offset, size_t n_bytes)
{
    uint64_t at;
    return find_together(coder, unit, false, offset, n_bytes, &at) ? dst + at : NULL;
}

void mth_coder_scatter(const struct mth_coder *coder, const struct mth_unit *unit, const uint8_t *src,
                       uint8_t *dst, uint64_t offset, size_t n_bytes)
{
    /* flat is only read when there is a destination. */
    move_scattered(coder, unit, false, offset, n_bytes, NULL, (uint8_t *)(uintptr_t)src, dst);
}

struct digest_run {
    struct mth_bytes bytes;
    uint64_t *hashes;
    size_t n_pieces;
    atomic_size_t next;
};

enum { DIGEST_PIECE_BYTES = 1 << 20 };

static void digest_work(void *arg, size_t worker)
{
    struct digest_run *run = arg;
    (void)worker;
    size_t i;
    while ((i = atomic_fetch_add(&run->next, 1)) < run->n_pieces) {
        size_t at = i * DIGEST_PIECE_BYTES;
        size_t n = mth_size_min(DIGEST_PIECE_BYTES, run->bytes.n_bytes - at);
        uint8_t hash[8];
        mth_store64(hash, mth_hash64(run->bytes.data + at, n, i));
        memcpy(&run->hashes[i], hash, sizeof hash);
    }
}

int mth_coder_digest(struct mth_coder *coder, struct mth_bytes bytes, uint8_t digest[16])
{
    struct digest_run run = {.bytes = bytes};
    run.n_pieces = bytes.n_bytes / DIGEST_PIECE_BYTES + (bytes.n_bytes % DIGEST_PIECE_BYTES != 0);
    int status = mth_array_reserve(coder->memory, &coder->leaves, &coder->leaves_capacity, run.n_pieces,
                                   sizeof *coder->leaves);
    if (status)
        return status;
    run.hashes = coder->leaves;
    mth_pool_run(coder->pool, digest_work, &run);
    struct mth_digest root = mth_hash128(run.hashes, run.n_pieces * sizeof *run.hashes);
    memcpy(digest, root.bytes, sizeof root.bytes);
    return MTH_OK;
}

int mth_growing_reserve(struct mth_memory *memory, struct mth_growing *growing, size_t n_more)
{
    size_t wanted;
    if (!mth_size_add(growing->n_bytes, n_more, &wanted))
        return MTH_ERR_OVERFLOW;
    return mth_array_reserve(memory, &growing->data, &growing->capacity, wanted, 1);
}

int mth_growing_put(struct mth_memory *memory, struct mth_growing *growing, const void *data, size_t n_bytes)
{
    int status = mth_growing_reserve(memory, growing, n_bytes);
    if (status || n_bytes == 0)
        return status;
    memcpy(growing->data + growing->n_bytes, data, n_bytes);
    growing->n_bytes += n_bytes;
    return MTH_OK;
}

int mth_growing_put_varint(struct mth_memory *memory, struct mth_growing *growing, uint64_t value)
{
    uint8_t bytes[MTH_VARINT_MAX_BYTES];
    return mth_growing_put(memory, growing, bytes, mth_varint_put(bytes, value));
}
